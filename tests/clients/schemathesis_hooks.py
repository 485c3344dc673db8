"""What schemathesis is told of nameplate beside its OpenAPI document. tests/e2e/schemathesis.rs runs it."""

import schemathesis
from schemathesis.core.failures import ServerError

# Consul answers these with 500, and clients know it; docs/api.md tells of each.
AS_CONSUL = (
    "No path to datacenter ",
    "Connect must be enabled in order to use this endpoint",
    "Failed to join ",
    # Of sessions: what they lock or stand on may be there in a moment.
    "invalid session ",
    "Missing node registration",
    "Missing check '",
    "Check '",
)

# For load balancers, which look at the status only.
TELL_BY_STATUS = ("/v1/agent/health/", "/v1/status/ready")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Whoever waits for a change waits 10 ms: as long as it is a time at all, none is left out."""
    query = case.query or {}
    waits = "index" in query or "hash" in query
    wait = query.get("wait", "")
    if waits and isinstance(wait, str) and (not wait or wait[0].isdigit()):
        query["wait"] = "10ms"


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A 5xx is a failure of the server, unless it is the answer that is meant."""
    if not isinstance(failure, ServerError):
        return True
    meant = case.path.startswith(TELL_BY_STATUS) and response.status_code == 503
    return not (meant or response.text.startswith(AS_CONSUL))

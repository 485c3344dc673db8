"""python-consul, which is no longer developed and still widely used."""

import areas
import consul
from areas import ERRORS, UNKNOWN, raises


def acl_off(c):
    """Its routes for access control are those of Consul before 1.4; they say that it is off, too."""
    for call, arguments in (
        (c.acl.list, ()), (c.acl.info, (UNKNOWN,)), (c.acl.create, ()), (c.acl.update, (UNKNOWN,)),
        (c.acl.clone, (UNKNOWN,)), (c.acl.destroy, (UNKNOWN,)),
    ):
        disabled = raises(ERRORS.ACLDisabled, call, *arguments)
        assert "ACL support disabled" in str(disabled)


def nothing(c):
    """It reads `X-Consul-Index` of every 404, whatever was asked."""
    for read in (c.kv.get, c.query.get, c.query.execute, c.query.explain):
        assert read(UNKNOWN)[1] is None


def with_token(c):
    """It sends its token as a parameter, on every path; where access control is off, nobody looks at it."""
    token = consul.Consul(token="secret")
    assert token.agent.service.register("web", check=consul.Check.ttl("1m")) is True
    assert token.agent.check.register("more", consul.Check.ttl("1m"), service_id="web") is True
    assert token.catalog.register("db1", "192.0.2.11") is True
    assert token.catalog.deregister("db1") is True
    assert [one["ServiceID"] for one in token.catalog.service("web")[1]] == ["web"]
    assert token.kv.put("foo", "bar") is True
    assert token.kv.get("foo")[1]["Value"] == b"bar"
    assert token.kv.delete("foo") is True
    assert token.event.fire("deploy")["Name"] == "deploy"
    assert token.agent.service.deregister("web") is True


areas.run(areas.BOTH + [acl_off, nothing, with_token], consul.Consul())

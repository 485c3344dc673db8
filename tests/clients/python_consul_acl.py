"""python-consul with access control on. It knows Consul's tokens of before 1.4 only, so that its token is made by hand."""

import areas
import consul
from areas import ERRORS, raises

nobody = consul.Consul()
raises(ERRORS.ACLPermissionDenied, nobody.kv.put, "foo", "bar")
first = nobody.http.put(consul.base.CB.json(), "/v1/acl/bootstrap")


def with_token(master):
    """Its token is a parameter of each request that takes one."""
    assert master.kv.put("foo", "bar") is True
    assert master.kv.get("foo")[1]["Value"] == b"bar"
    assert nobody.kv.get("foo", token=master.token)[1]["Value"] == b"bar"
    raises(ERRORS.ACLPermissionDenied, nobody.kv.get, "foo")
    raises(ERRORS.ACLPermissionDenied, nobody.kv.get, "foo", token=areas.UNKNOWN)
    assert master.agent.service.register("web", tags=["blue"]) is True
    assert [one["ServiceID"] for one in master.catalog.service("web", tag="blue")[1]] == ["web"]
    assert [one["Service"]["ID"] for one in master.health.service("web", passing=True)[1]] == ["web"]
    assert nobody.catalog.service("web")[1] == [], "what may not be read is not listed"
    assert master.catalog.register("db1", "192.0.2.11", service={"service": "db"}) is True
    raises(ERRORS.ACLPermissionDenied, nobody.catalog.register, "db1", "192.0.2.12")
    assert master.event.fire("deploy")["Name"] == "deploy"
    raises(ERRORS.ACLPermissionDenied, nobody.event.fire, "deploy")


areas.run([with_token], consul.Consul(token=first["SecretID"]))

"""py-consul with access control on: policies and tokens are made, used, changed and taken away, as its documentation shows."""

import areas
import consul
from areas import ERRORS, raises

MANAGEMENT = "00000000-0000-0000-0000-000000000001"
ANONYMOUS = "00000000-0000-0000-0000-000000000002"


def bootstrap():
    """The first token, which may do everything; there is one such."""
    nobody = consul.Consul()
    raises(ERRORS.ACLPermissionDenied, nobody.acl.token.list)
    first = nobody.acl.bootstrap()
    raises(ERRORS.ACLPermissionDenied, nobody.acl.bootstrap)
    assert [policy["Name"] for policy in first["Policies"]] == ["global-management"]
    master = consul.Consul(token=first["SecretID"])
    assert master.acl.token.read_self()["AccessorID"] == first["AccessorID"]
    return master


def policies(master):
    rules = {"key_prefix": {"": {"policy": "read"}, "private/": {"policy": "deny"}}}
    made = master.acl.policy.create("reader", description="reads keys", rules=rules)
    assert master.acl.policy.read(made["ID"])["Description"] == "reads keys"
    assert {policy["Name"] for policy in master.acl.policy.list()} == {"global-management", "reader"}
    rules["key_prefix"]["own/"] = {"policy": "write"}
    changed = master.acl.policy.update(made["ID"], "reader", description="and writes its own", rules=rules)
    assert (changed["ID"], changed["Description"]) == (made["ID"], "and writes its own")
    other = master.acl.policy.create("other")
    assert master.acl.policy.delete(other["ID"]) is True
    assert master.acl.policy.read(MANAGEMENT)["Name"] == "global-management"
    assert master.acl.policy.read(areas.UNKNOWN) is None


def tokens(master):
    made = master.acl.token.create(policies_name=["reader"], description="of a test")
    assert master.acl.token.read(made["AccessorID"])["SecretID"] == made["SecretID"]
    own = consul.Consul(token=made["SecretID"])
    assert own.acl.token.read_self()["AccessorID"] == made["AccessorID"]
    raises(ERRORS.ACLPermissionDenied, own.acl.token.list)

    assert master.kv.put("foo", "bar") is True
    assert master.kv.put("private/foo", "bar") is True
    assert own.kv.get("foo")[1]["Value"] == b"bar"
    assert own.kv.put("own/foo", "bar") is True
    raises(ERRORS.ACLPermissionDenied, own.kv.put, "foo", "other")
    raises(ERRORS.ACLPermissionDenied, own.kv.delete, "foo")
    raises(ERRORS.ACLPermissionDenied, own.kv.get, "private/foo")
    raises(ERRORS.ACLPermissionDenied, own.kv.put, "private/foo", "other")
    # A token that is given with a call goes before the client's own.
    raises(ERRORS.ACLPermissionDenied, master.kv.get, "private/foo", token=made["SecretID"])
    assert own.kv.get("private/foo", token=master.token)[1]["Value"] == b"bar"
    raises(ERRORS.ACLPermissionDenied, own.agent.service.register, "web")
    raises(ERRORS.ACLPermissionDenied, consul.Consul(token=areas.UNKNOWN).kv.get, "foo")

    cloned = master.acl.token.clone(made["AccessorID"], description="another")
    assert (cloned["Description"], cloned["Policies"]) == ("another", made["Policies"])
    assert consul.Consul(token=cloned["SecretID"]).kv.get("foo")[1]["Value"] == b"bar"
    changed = master.acl.token.update(made["AccessorID"], description="of nobody")
    assert (changed["Description"], changed.get("Policies") or []) == ("of nobody", [])
    raises(ERRORS.ACLPermissionDenied, own.kv.get, "foo")
    serves = master.acl.token.create(service_identities=[{"ServiceName": "web"}])
    web = consul.Consul(token=serves["SecretID"])
    assert web.agent.service.register("web", check=consul.Check.ttl("1m")) is True
    raises(ERRORS.ACLPermissionDenied, web.agent.service.register, "db")
    assert web.agent.check.ttl_pass("service:web") is True
    assert web.agent.service.deregister("web") is True

    accessors = {token["AccessorID"] for token in master.acl.token.list()}
    assert {ANONYMOUS, made["AccessorID"], cloned["AccessorID"], serves["AccessorID"]} <= accessors
    for token in (made, cloned, serves):
        assert master.acl.token.delete(token["AccessorID"]) is True
    assert master.acl.token.read(made["AccessorID"]) is None
    raises(ERRORS.ACLPermissionDenied, own.kv.get, "foo")


master = bootstrap()
print("bootstrap done")
areas.run([policies, tokens], master)

"""py-consul: what it shares with python-consul, and what it has beyond."""

import asyncio

import areas
import consul
import consul.aio
from areas import ERRORS, NODE, OWN_CHECKS, raises, until

check = consul.Check


def services(c):
    assert c.agent.service.register(
        "web", port=80, meta={"version": "1"}, weights={"Passing": 5, "Warning": 2}, kind="", socket_path="/run/web",
        tagged_addresses={"wan": {"address": "198.51.100.7", "port": 8080}}, locality={"Region": "north"},
        connect={"native": False}, check=check.ttl("1m"), extra_checks=[check.ttl("2m"), check.ttl("3m")],
    ) is True
    web = c.agent.service_definition("web")
    assert (web["Meta"], web["Weights"], web["Port"]) == ({"version": "1"}, {"Passing": 5, "Warning": 2}, 80)
    assert web["TaggedAddresses"]["wan"] == {"Address": "198.51.100.7", "Port": 8080}
    assert set(c.agent.checks()) - OWN_CHECKS == {f"service:web:{number}" for number in (1, 2, 3)}
    again = {"name": "web", "port": 80, "check": check.ttl("1m")}
    assert c.agent.service.register(**again) is True
    assert len(c.agent.checks()) == 4 + len(OWN_CHECKS), "what it does not name stays"
    assert c.agent.service.register(**again, replace_existing_checks=True) is True
    assert set(c.agent.checks()) - OWN_CHECKS == {"service:web"}
    assert set(c.agent.services(filter_expr='Service == "web"')) == {"web"}
    assert set(c.agent.checks(filter_expr='ServiceName == "web"')) == {"service:web"}
    assert c.agent.service_definition("nothing") is None
    # The names of fields that it had in its first versions.
    for old in ({"ttl": "1m"}, {"http": areas.API, "interval": "10s", "timeout": "1s"}):
        assert c.agent.service.register("web", **old, replace_existing_checks=True) is True
    assert c.agent.service.register("web", check=check.grpc("127.0.0.1:1/a", "1s", use_tls=True)) is True
    assert c.agent.checks()["service:web"]["Type"] == "grpc"
    # Commands are off unless the operator allows them.
    raises(ERRORS.BadRequest, c.agent.service.register, "web", check=check.docker("box", "/bin/sh", "true", "1s"))
    assert c.agent.service.deregister("web") is True


def agent(c):
    assert "Gauges" in c.agent.metrics()
    assert "nameplate_dns_requests_total" in c.agent.metrics(format_prometheus=True)
    assert c.agent.reload() is True
    assert c.agent.join("127.0.0.1") is True
    raises(ERRORS.ConsulException, c.agent.join, "192.0.2.77")
    assert c.agent.force_leave(NODE, prune=True) is True
    assert c.agent.force_leave("nowhere") is False
    raises(ERRORS.ACLPermissionDenied, c.agent.leave)
    assert c.operator.autopilot_health()["Healthy"] is True
    assert c.operator.autopilot_configuration()["CleanupDeadServers"] is True


def reads(c):
    assert c.catalog.register(
        "db1", "192.0.2.11", service={"service": "db", "id": "db-1", "port": 5432, "meta": {"rack": "r7"}},
        tagged_addresses={"lan": "192.0.2.11", "wan": "198.51.100.11"},
    ) is True
    assert c.catalog.register("db1", None, service={"service": "db", "id": "db-2"}, skip_node_update=True) is True
    assert c.catalog.nodes(filter_expr='TaggedAddresses.wan == "198.51.100.11"')[1][0]["Node"] == "db1"
    assert c.catalog.services(filter_expr='ServiceMeta.rack == "r7"')[1] == {"db": []}
    assert set(c.catalog.node("db1", filter_expr='Meta.rack == "r7"')[1]["Services"]) == {"db-1"}

    def ids(found):
        return [one["Service"]["ID"] for one in found[1]]

    assert ids(c.health.service("db", filter_expr='Service.Meta.rack == "r7"')) == ["db-1"]
    assert ids(c.health.service("db", tag=["blue", "primary"])) == []
    assert ids(c.health.service("db", merge_central_config=True, near="_agent")) == ["db-1", "db-2"]
    assert ids(c.health.service("db", node_meta={"rack": "none"})) == []
    assert ids(c.health.service("db", peer="elsewhere")) == []
    assert c.catalog.service("db", peer="elsewhere")[1] == []
    for nothing in (c.health.connect, c.health.ingress, c.catalog.connect):
        assert nothing("db")[1] == []
    assert c.catalog.gateway_services("gateway") == []
    assert c.health.state("any", filter_expr='CheckID == "serfHealth"')[1][0]["Node"] == NODE
    assert c.health.checks("db", filter_expr="CheckID is empty")[1] == []
    assert c.health.node(NODE, filter_expr='Node == "nowhere"')[1] == []
    raises(ERRORS.BadRequest, c.health.service, "db", filter_expr="no filter")
    assert c.catalog.deregister("db1") is True


def watch_with_wait(c):
    """What the documentation says of `wait`: with it a read comes back unchanged."""
    index, events = c.event.list(name="none")
    assert events == []
    assert c.event.list(name="none", index=index, wait="50ms") == (index, [])
    index, found = c.health.service("none")
    assert c.health.service("none", index=index, wait="50ms", passing=True) == (index, [])


def without(c):
    """What is not here is answered as by a Consul that has it not."""
    for call in (c.acl.token.list, c.acl.policy.list, c.acl.bootstrap, c.acl.role.list):
        disabled = raises(ERRORS.ACLDisabled, call)
        assert "ACL support disabled" in str(disabled)
    raises(ERRORS.ACLDisabled, c.acl.token.create, description="none")
    for call in (c.connect.ca.roots, c.connect.ca.configuration, c.agent.connect.ca.roots):
        assert "Connect must be enabled" in str(raises(ERRORS.ConsulException, call))
    assert c.connect.intentions.list() == []
    assert c.connect.intentions.check("web", "db") is True
    assert c.connect.intentions.read("web", "db") is None
    assert c.config.list("service-defaults") == []
    assert c.config.get("service-defaults", "web") is None
    raises(ERRORS.BadRequest, c.config.set, "service-defaults", "web")
    raises(ERRORS.NotFound, c.snapshot.save)
    assert c.coordinate.node(NODE) is not None


def configured(c):
    """A client that is told its settings by the environment, and one that reads at another consistency."""
    with consul.Consul(host="localhost", port=8500, consistency="stale", dc="dc1") as stale:
        assert stale.catalog.datacenters() == ["dc1"]
        assert len(stale.catalog.nodes()[1]) == 1
        assert stale.kv.put("foo", "bar") is True
        assert stale.kv.get("foo")[1]["Value"] == b"bar"
        assert stale.kv.delete("foo") is True
    patient = consul.Consul(connections_timeout=1)
    index, _ = patient.kv.get("none")
    watch = areas.Watch(lambda _: patient.kv.get("none", index=index, wait="5s"))
    until("it has waited longer than its own timeout", lambda: watch.seen or watch.failed)
    assert watch.failed is None, watch.failed


def asynchronous(c):
    """The client for asyncio: the same calls, awaited, and many watches in one thread."""

    async def watch(other, key, index):
        data = None
        while data is None:
            index, data = await other.kv.get(key, index=index, wait="1m")
        return data["Value"]

    async def go():
        async with consul.aio.Consul(connections_limit=0) as other:
            assert await other.kv.put("foo", b"bar") is True
            assert (await other.kv.get("foo"))[1]["Value"] == b"bar"
            assert await other.kv.delete("foo") is True
            assert await other.agent.service.register("web", check=check.ttl("1m")) is True
            assert await other.agent.check.ttl_pass("service:web") is True
            assert len((await other.health.service("web", passing=True))[1]) == 1
            session = await other.session.create(ttl=10, behavior="delete")
            assert (await other.session.renew(session))["ID"] == session
            assert await other.session.destroy(session) is True
            keys = [f"key-{number}" for number in range(20)]
            missing = [(key, await other.kv.get(key)) for key in keys]
            assert all(data is None for _, (_, data) in missing)
            watches = [asyncio.create_task(watch(other, key, index)) for key, (index, _) in missing]
            for key in keys:
                assert await other.kv.put(key, key) is True
            assert await asyncio.wait_for(asyncio.gather(*watches), 20) == [key.encode() for key in keys]
            assert await other.kv.delete("key-", recurse=True) is True
            assert await other.agent.service.deregister("web") is True

    asyncio.run(go())


MORE = [services, agent, reads, watch_with_wait, without, configured, asynchronous]
areas.run(areas.BOTH + MORE, consul.Consul())

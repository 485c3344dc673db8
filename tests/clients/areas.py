"""What py-consul and python-consul can both do, area by area, as their documentation shows it.

Each function gets a client of a server that is fresh but for what the areas before it took away again. What both
libraries do differently is asked of `library`, one of `py-consul` and `python-consul`.
"""

import base64
import struct
import threading
import time

import consul

# Where each library has its exceptions.
ERRORS = getattr(consul, "exceptions", consul.base)
NODE = "n1"
# An agent lists the checks that it runs; the one that says that its node is alive is the catalog's.
OWN_CHECKS = {"service:nameplate"}
ADDRESS = "192.0.2.1"
API = "http://127.0.0.1:8500/v1/status/leader"
UNKNOWN = "11111111-1111-1111-1111-111111111111"


def raises(kind, call, *arguments, **named):
    """The exception that a call ends with, which must be of this kind."""
    try:
        returned = call(*arguments, **named)
    except kind as exception:
        return exception
    raise AssertionError(f"{kind.__name__} expected, returned {returned!r}")


def until(what, look):
    """Looks until there is something, and returns it."""
    for _ in range(1000):
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited in vain until {what}")


class Watch:
    """The loop of the documentation: reads again and again with the index of the read before, and keeps what changed.

    It goes on until the script ends.
    """

    def __init__(self, read):
        self.read = read
        self.seen = []
        self.failed = None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()
        until("the first read", lambda: self.seen or self.failed)

    def follow(self):
        index = None
        try:
            while True:
                index, data = self.read(index)
                if not self.seen or self.seen[-1] != data:
                    self.seen.append(data)
        except Exception as exception:
            self.failed = exception

    def sees(self, what, holds):
        until(what, lambda: self.failed or holds(self.seen[-1]))
        assert self.failed is None, self.failed


def status(c):
    assert c.status.leader() == f"{ADDRESS}:8300"
    assert c.status.peers() == [f"{ADDRESS}:8300"]


def agent_self(c):
    told = c.agent.self()
    assert {"Config", "Coord", "DebugConfig", "Member", "Meta", "Stats", "xDS"} == set(told), told.keys()
    assert (told["Config"]["Datacenter"], told["Config"]["NodeName"]) == ("dc1", NODE)
    assert told["Member"] in c.agent.members()
    assert [member["Status"] for member in c.agent.members()] == [1]
    assert [member["Name"] for member in c.agent.members(wan=True)] == [f"{NODE}.dc1"]
    assert len(c.operator.raft_config()["Servers"]) == 1


def agent_services(c):
    assert c.agent.service.register("plain") is True
    assert c.agent.services()["plain"] == c.agent.services()["plain"] | {
        "ID": "plain", "Service": "plain", "Tags": [], "Meta": {}, "Port": 0, "Address": "",
        "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": False, "Datacenter": "dc1",
    }
    assert c.agent.service.register(
        "web", service_id="web:1", address="192.0.2.10", port=8080, tags=["blue", "primary"],
        check=consul.Check.ttl("10s"), enable_tag_override=True,
    ) is True
    web = c.agent.services()["web:1"]
    assert (web["Address"], web["Port"], web["Tags"]) == ("192.0.2.10", 8080, ["blue", "primary"])
    assert web["EnableTagOverride"] is True
    # A name with characters that DNS does not know is registered and found all the same.
    odd = "app#127.0.0.1#3000"
    assert c.agent.service.register(odd) is True
    assert [node["Service"]["ID"] for node in c.health.service(odd)[1]] == [odd]
    for gone in ("plain", "web:1", odd):
        assert c.agent.service.deregister(gone) is True
    assert set(c.agent.services()) == {"nameplate"}
    # What is not there is a 404, which is False here, not an exception.
    assert c.agent.service.deregister("web:1") is False


def agent_checks(c):
    check = consul.Check
    assert c.agent.check.register("noted", check.ttl("10s"), notes="why it is") is True
    noted = c.agent.checks()["noted"]
    assert (noted["Notes"], noted["Status"], noted["ServiceID"]) == ("why it is", "critical", "")
    for renew, status in (("ttl_pass", "passing"), ("ttl_warn", "warning"), ("ttl_fail", "critical")):
        assert getattr(c.agent.check, renew)("noted") is True
        assert c.agent.checks()["noted"]["Status"] == status
        assert getattr(c.agent.check, renew)("noted", notes=f"it is {status}") is True
        assert c.agent.checks()["noted"]["Output"] == f"it is {status}"
    assert c.agent.check.deregister("noted") is True
    assert "noted" not in c.agent.checks()
    assert c.agent.check.ttl_pass("noted") is False

    # Its time over, a check is critical by itself; the next heartbeat has it pass again.
    assert c.agent.check.register("short", check.ttl("100ms"), check_id="brief") is True
    assert c.agent.check.ttl_pass("brief") is True
    until("it is critical", lambda: c.agent.checks()["brief"]["Status"] == "critical")
    assert c.agent.checks()["brief"]["Output"].startswith("TTL expired"), c.agent.checks()["brief"]
    assert c.agent.check.deregister("brief") is True

    assert c.agent.check.register("by http", check.http(API, "1s", timeout="2s", header={"X-Why": ["test"]})) is True
    assert c.agent.check.register("by tcp", check.tcp("127.0.0.1", 8500, "100ms", timeout="1s")) is True
    until("both pass", lambda: {c.agent.checks()[name]["Status"] for name in ("by http", "by tcp")} == {"passing"})
    for name in ("by http", "by tcp"):
        assert c.agent.check.deregister(name) is True
    # Programs are not run, as with a Consul that is not told to.
    raises(ERRORS.BadRequest, c.agent.check.register, "script", check.script(["/bin/true"], "10s"))
    assert c.agent.check.register("nowhere", check.ttl("10s"), service_id="nobody") is False
    assert set(c.agent.checks()) == OWN_CHECKS


def agent_maintenance(c):
    assert c.agent.service.register("web", check=consul.Check.ttl("10s")) is True
    for enabled in (True, "true"):
        assert c.agent.service.maintenance("web", enabled, "new disk") is True
        assert c.agent.checks()["_service_maintenance:web"]["Notes"] == "new disk"
        assert c.agent.maintenance(enabled, "new kernel") is True
        assert c.agent.checks()["_node_maintenance"]["Notes"] == "new kernel"
        disabled = type(enabled)() or "false"
        assert c.agent.service.maintenance("web", disabled) is True
        assert c.agent.maintenance(disabled) is True
        assert set(c.agent.checks()) == OWN_CHECKS | {"service:web"}
    assert c.agent.service.maintenance("nobody", True) is False
    assert c.agent.service.deregister("web") is True


def catalog(c):
    assert c.catalog.datacenters() == ["dc1"]
    own = [node["Node"] for node in c.catalog.nodes()[1]]
    assert own == [NODE]
    assert c.catalog.register("db1", "192.0.2.11", service={"service": "db"}, check={"name": "alive"}) is True
    assert c.catalog.register("db1", "192.0.2.11", service={"service": "cache"}) is True
    assert c.catalog.register("db2", "192.0.2.12", service={"service": "db", "tags": ["primary"]}) is True
    assert [node["Node"] for node in c.catalog.nodes()[1]] == ["db1", "db2", NODE]
    assert [node["Node"] for node in c.catalog.nodes(near="db2")[1]][0] == "db2"
    assert c.catalog.services()[1] == {"cache": [], "db": ["primary"], "nameplate": []}
    assert set(c.catalog.node("db1")[1]["Services"]) == {"db", "cache"}
    assert c.catalog.node("nowhere")[1] is None
    found = c.catalog.service("db")[1]
    assert [(one["Node"], one["Address"], one["ServiceID"]) for one in found] == [
        ("db1", "192.0.2.11", "db"), ("db2", "192.0.2.12", "db"),
    ]
    assert [one["Node"] for one in c.catalog.service("db", tag="primary")[1]] == ["db2"]
    assert c.catalog.service("nothing")[1] == []
    for consistency in ("consistent", "stale"):
        assert len(c.catalog.service("db", consistency=consistency)[1]) == 2
    for call, arguments in (
        (c.catalog.nodes, ()), (c.catalog.services, ()), (c.catalog.service, ("db",)), (c.catalog.node, ("db1",)),
        (c.catalog.register, ("db3", "192.0.2.13")), (c.catalog.deregister, ("db2",)),
    ):
        elsewhere = raises(ERRORS.ConsulException, call, *arguments, dc="dc2")
        assert "No path to datacenter" in str(elsewhere), elsewhere
    assert c.catalog.deregister("db1", check_id="alive") is True
    assert [check["CheckID"] for check in c.health.node("db1")[1]] == []
    assert c.catalog.deregister("db2", service_id="db") is True
    assert [node["Node"] for node in c.catalog.nodes()[1]] == ["db1", "db2", NODE]
    assert [one["Node"] for one in c.catalog.service("db")[1]] == ["db1"]
    for node in ("db1", "db2"):
        assert c.catalog.deregister(node) is True
    assert [node["Node"] for node in c.catalog.nodes()[1]] == own


def health(c):
    assert c.health.service("web")[1] == []
    assert c.agent.service.register("web", service_id="web:1", check=consul.Check.ttl("1m"), tags=["blue"]) is True
    assert c.agent.service.register("web", service_id="web:2", check=consul.Check.ttl("300ms")) is True

    def instances(**named):
        return [node["Service"]["ID"] for node in c.health.service("web", **named)[1]]

    assert instances() == ["web:1", "web:2"]
    assert instances(passing=True) == []
    for number in (1, 2):
        assert c.agent.check.ttl_pass(f"service:web:{number}") is True
    assert instances(passing=True)[0] == "web:1"
    until("the short one is critical", lambda: instances(passing=True) == ["web:1"])
    assert instances(tag="blue") == ["web:1"]
    node = c.health.service("web", tag="blue")[1][0]
    assert (node["Node"]["Node"], node["Node"]["Address"]) == (NODE, ADDRESS)
    assert [check["CheckID"] for check in node["Checks"]] == ["serfHealth", "service:web:1"]
    assert [check["CheckID"] for check in c.health.checks("web")[1]] == ["service:web:1", "service:web:2"]
    assert [check["Status"] for check in c.health.checks("web")[1]] == ["passing", "critical"]
    assert {check["ServiceID"] for check in c.health.state("any")[1]} == {"", "nameplate", "web:1", "web:2"}
    assert {check["ServiceID"] for check in c.health.state("passing")[1]} == {"", "nameplate", "web:1"}
    assert c.health.state("warning")[1] == []
    assert {check["Node"] for check in c.health.node(NODE)[1]} == {NODE}
    for number in (1, 2):
        assert c.agent.service.deregister(f"web:{number}") is True
    assert [check["CheckID"] for check in c.health.state("any")[1]] == ["serfHealth", "service:nameplate"]


def kv(c):
    assert c.kv.get("foo")[1] is None
    assert c.kv.put("foo", "bar") is True
    index, data = c.kv.get("foo")
    assert (data["Key"], data["Value"], data["Flags"], data["LockIndex"]) == ("foo", b"bar", 0, 0)
    assert int(index) == data["ModifyIndex"] == data["CreateIndex"]
    assert c.kv.get("foo", index=index, wait="20ms")[0] == index

    assert c.kv.put("foo", struct.pack("<i", 1000)) is True
    assert c.kv.get("foo")[1]["Value"] == struct.pack("<i", 1000)
    for empty in ("", None):
        assert c.kv.put("foo", empty) is True
        assert c.kv.get("foo")[1]["Value"] is None
    assert c.kv.put("foo", "bar", flags=50) is True
    assert c.kv.get("foo")[1]["Flags"] == 50

    data = c.kv.get("foo")[1]
    assert c.kv.put("foo", "other", cas=data["ModifyIndex"] - 1) is False
    assert c.kv.put("foo", "other", cas=data["ModifyIndex"]) is True
    assert c.kv.put("foo", "first", cas=0) is False
    assert c.kv.put("new", "first", cas=0) is True
    data = c.kv.get("foo")[1]
    assert c.kv.delete("foo", cas=data["ModifyIndex"] - 1) is False
    assert c.kv.delete("foo", cas=data["ModifyIndex"]) is True
    assert c.kv.get("foo")[1] is None
    assert c.kv.delete("foo") is True
    assert c.kv.delete("new") is True

    assert c.kv.get("app/", recurse=True)[1] is None
    for key, value in (("app/", None), ("app/one", "1"), ("app/two", "2"), ("app/sub/three", "3"), ("apple", "0")):
        assert c.kv.put(key, value) is True
    found = c.kv.get("app/", recurse=True)[1]
    assert [(one["Key"], one["Value"]) for one in found] == [
        ("app/", None), ("app/one", b"1"), ("app/sub/three", b"3"), ("app/two", b"2"),
    ]
    assert c.kv.get("app/", keys=True)[1] == ["app/", "app/one", "app/sub/three", "app/two"]
    assert c.kv.get("app/", keys=True, separator="/")[1] == ["app/", "app/one", "app/sub/", "app/two"]
    assert c.kv.put("näme mit/leer +%", "zeichen") is True
    assert c.kv.get("näme mit/leer +%")[1]["Key"] == "näme mit/leer +%"
    raises(ERRORS.ConsulException, c.kv.get, "apple", dc="dc2")
    assert c.kv.delete("app/", recurse=True) is True
    assert c.kv.get("", keys=True)[1] == ["apple", "näme mit/leer +%"]
    assert c.kv.delete("", recurse=True) is True
    assert c.kv.get("", keys=True)[1] is None


def session(c):
    raises(ERRORS.ConsulException, c.session.create, node="nowhere")
    raises(ERRORS.ConsulException, c.session.create, dc="dc2")
    made = c.session.create("my-session")
    for sessions in (c.session.list()[1], c.session.node(NODE)[1]):
        assert [one["Name"] for one in sessions] == ["my-session"]
    told = c.session.info(made)[1]
    assert (told["ID"], told["Node"], told["Behavior"], told["TTL"]) == (made, NODE, "release", "")
    assert (told["LockDelay"], told["NodeChecks"]) == (15_000_000_000, ["serfHealth"])
    assert c.session.info(UNKNOWN)[1] is None
    assert c.session.destroy(made) is True
    assert c.session.list()[1] == []

    short = c.session.create(behavior="delete", ttl=20, lock_delay=3, checks=[])
    raises(ERRORS.NotFound, c.session.renew, UNKNOWN)
    renewed = c.session.renew(short)
    assert (renewed["Behavior"], renewed["TTL"], renewed["LockDelay"]) == ("delete", "20s", 3_000_000_000)
    assert c.kv.put("held", "1", acquire=short) is True
    assert c.kv.get("held")[1]["Session"] == short
    assert c.session.destroy(short) is True
    assert c.kv.get("held")[1] is None


def locks(c):
    raises(ERRORS.ConsulException, c.kv.put, "lock", "me", acquire="nobody")
    one, other = c.session.create(lock_delay=0), c.session.create()
    assert c.kv.put("lock", "one", acquire=one) is True
    assert c.kv.put("lock", "other", acquire=other) is False
    assert c.kv.put("lock", "one again", acquire=one) is True
    held = c.kv.get("lock")[1]
    assert (held["Session"], held["LockIndex"], held["Value"]) == (one, 1, b"one again")
    assert c.kv.put("lock", "other", release=other) is False
    assert c.kv.put("lock", "nobody", release=one) is True
    free = c.kv.get("lock")[1]
    assert ("Session" in free, free["LockIndex"], free["Value"]) == (False, 1, b"nobody")
    assert c.kv.put("lock", "other", acquire=other) is True
    assert c.kv.get("lock")[1]["LockIndex"] == 2

    # Who waits for the lock watches the key, and gets it when the holder's session ends and its delay is over.
    assert c.kv.put("second", "one", acquire=one) is True
    watch = Watch(lambda index: c.kv.get("second", index=index))
    assert c.session.destroy(one) is True
    watch.sees("the lock is free", lambda data: "Session" not in data)
    assert c.kv.put("second", "other", acquire=other) is True
    assert c.session.destroy(other) is True
    assert c.kv.put("lock", "late", acquire=c.session.create("late")) is False, "the lock delay of 15 s holds"
    for held in c.session.list()[1]:
        assert c.session.destroy(held["ID"]) is True
    assert c.kv.delete("", recurse=True) is True


def event(c):
    fired = c.event.fire("deploy", "1.2")
    assert (fired["Name"], base64.b64decode(fired["Payload"])) == ("deploy", b"1.2")
    bare = c.event.fire("restart")
    index, events = c.event.list()
    assert [(one["Name"], one["Payload"]) for one in events] == [("deploy", b"1.2"), ("restart", None)]
    assert [one["ID"] for one in events] == [fired["ID"], bare["ID"]]
    assert c.event.list(name="other")[1] == []
    assert [one["Name"] for one in c.event.list(name="restart")[1]] == ["restart"]
    watch = Watch(lambda index: c.event.list(name="deploy", index=index))
    c.event.fire("deploy", "1.3", node=NODE)
    watch.sees("the next event", lambda events: events[-1]["Payload"] == b"1.3")


def watches(c):
    assert c.kv.put("foo", "0") is True
    key = Watch(lambda index: c.kv.get("foo", index=index))
    services = Watch(lambda index: c.catalog.services(index=index))
    passing = Watch(lambda index: c.health.service("web", index=index, passing=True))
    nodes = Watch(lambda index: c.catalog.nodes(index=index))
    states = Watch(lambda index: c.health.state("critical", index=index))
    assert c.kv.put("foo", "1") is True
    key.sees("the new value", lambda data: data["Value"] == b"1")
    assert c.agent.service.register("web", tags=["blue"], check=consul.Check.ttl("1m")) is True
    services.sees("the new service", lambda found: found.get("web") == ["blue"])
    states.sees("its check", lambda checks: [check["CheckID"] for check in checks] == ["service:web"])
    assert c.agent.check.ttl_pass("service:web") is True
    passing.sees("it passes", lambda found: [node["Service"]["ID"] for node in found] == ["web"])
    states.sees("no check is critical", lambda checks: checks == [])
    assert c.catalog.register("db1", "192.0.2.11") is True
    nodes.sees("the new node", lambda found: [node["Node"] for node in found] == ["db1", NODE])
    assert c.agent.check.ttl_fail("service:web") is True
    passing.sees("it is critical", lambda found: found == [])
    assert c.agent.service.deregister("web") is True
    services.sees("it is gone", lambda found: "web" not in found)
    assert c.catalog.deregister("db1") is True
    nodes.sees("the node is gone", lambda found: [node["Node"] for node in found] == [NODE])
    assert c.kv.delete("foo") is True
    key.sees("the key is gone", lambda data: data is None)


def txn(c):
    value = base64.b64encode(b"1").decode()
    done = c.txn.put([{"KV": {"Verb": "set", "Key": "one", "Value": value, "Flags": 7}}])
    assert done["Errors"] is None
    assert [result["KV"]["Key"] for result in done["Results"]] == ["one"]
    got = c.txn.put([{"KV": {"Verb": "get", "Key": "one"}}])
    assert (got["Results"][0]["KV"]["Value"], got["Results"][0]["KV"]["Flags"]) == (value, 7)
    assert c.kv.delete("one") is True


def query(c):
    assert c.query.list() == []
    assert c.agent.service.register("web", service_id="web:1", port=80, check=consul.Check.ttl("1m")) is True
    made = c.query.create("web", "find-web", onlypassing=True, ttl="10s")["ID"]
    assert [(one["ID"], one["Name"]) for one in c.query.get(made)] == [(made, "find-web")]
    assert [one["ID"] for one in c.query.list()] == [made]
    assert c.query.execute("find-web")["Nodes"] == []
    assert c.agent.check.ttl_pass("service:web:1") is True
    for by in (made, "find-web"):
        found = c.query.execute(by, limit=1)
        assert [node["Service"]["ID"] for node in found["Nodes"]] == ["web:1"], found
        assert (found["Service"], found["DNS"]["TTL"]) == ("web", "10s")
    assert c.query.explain("find-web-and-more")["Query"]["Name"] == "find-web"
    assert c.query.update(made, "web", "find-web", tags=["blue"]) is True
    assert c.query.execute("find-web")["Nodes"] == []
    assert c.query.delete(made) is True
    assert c.query.list() == []
    assert c.agent.service.deregister("web:1") is True


def coordinate(c):
    assert c.coordinate.datacenters() == []
    assert c.coordinate.nodes()[1] == []


BOTH = [
    status, agent_self, agent_services, agent_checks, agent_maintenance, catalog, health, kv, session, locks, event,
    watches, txn, query, coordinate,
]


def run(areas, *arguments):
    """Runs areas one after the other, each told by name when it is done."""
    for area in areas:
        area(*arguments)
        print(f"{area.__name__} done", flush=True)

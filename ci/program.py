"""A program with redis-py, as an application would be: RESP2 and RESP3, pipelines, transactions, messages, waiting."""

import sys
import threading

import redis

port = int(sys.argv[1])

for protocol in (2, 3):
    r = redis.Redis(port=port, protocol=protocol, decode_responses=True)
    r.flushall()
    assert r.ping()

    # Values of every type.
    assert r.set("string", "value", ex=100) and r.get("string") == "value" and 0 < r.ttl("string") <= 100
    assert r.set("string", "other", nx=True) is None
    assert r.hset("hash", mapping={"a": 1, "b": 2}) == 2 and r.hgetall("hash") == {"a": "1", "b": "2"}
    assert r.rpush("list", "x", "y", "z") == 3 and r.lrange("list", 0, -1) == ["x", "y", "z"]
    assert r.sadd("set", "a", "b") == 2 and r.smembers("set") == {"a", "b"}
    assert r.zadd("zset", {"a": 1.5, "b": 2}) == 2
    ranked = [(member, float(score)) for member, score in r.zrange("zset", 0, -1, withscores=True)]
    assert ranked == [("a", 1.5), ("b", 2.0)], ranked
    assert r.setbit("bits", 7, 1) == 0 and r.bitcount("bits") == 1
    assert set(r.scan_iter()) == {"string", "hash", "list", "set", "zset", "bits"}
    try:
        r.lpush("string", "x")
        raise SystemExit("LPUSH on a string was not refused")
    except redis.ResponseError as error:
        assert str(error).startswith("WRONGTYPE"), error

    # A pipeline of many commands, and a transaction that fails when a watched key changes.
    with r.pipeline(transaction=False) as pipe:
        for n in range(10_000):
            pipe.incr("counter")
        assert pipe.execute() == list(range(1, 10_001))
    with r.pipeline() as pipe:
        pipe.watch("counter")
        r.set("counter", "0")
        pipe.multi()
        pipe.incr("counter")
        try:
            pipe.execute()
            raise SystemExit("EXEC did not notice the change")
        except redis.WatchError:
            pass
    assert r.get("counter") == "0"

    # Messages, by channel and by pattern, and a keyspace event.
    r.config_set("notify-keyspace-events", "KEA")
    messages = r.pubsub()
    messages.subscribe("news")
    messages.psubscribe("__keyevent@0__:*")
    assert messages.get_message(timeout=5)["type"] == "subscribe"
    assert messages.get_message(timeout=5)["type"] == "psubscribe"
    assert r.publish("news", "hello") == 1
    assert messages.get_message(timeout=5)["data"] == "hello"
    r.set("event", "1")
    message = messages.get_message(timeout=5)
    assert (message["channel"], message["data"]) == ("__keyevent@0__:set", "event"), message
    messages.close()
    r.config_set("notify-keyspace-events", "")

    # Waiting for an element that another client pushes.
    got = []
    other = redis.Redis(port=port, protocol=protocol)
    waiter = threading.Thread(target=lambda: got.append(other.blpop(["w1", "w2"])))
    waiter.start()
    while r.info("clients")["blocked_clients"] == 0:
        pass
    r.rpush("w2", "element")
    waiter.join()
    assert list(got[0]) == [b"w2", b"element"], got
    assert r.blpop("nothing", timeout=0.05) is None

    # A lock as applications write it, without scripts.
    assert r.set("lock", "token", nx=True, px=10_000) and not r.set("lock", "other", nx=True, px=10_000)
    assert r.getdel("lock") == "token"
    assert r.wait(0, 0) == 0 and r.wait(1, 10) == 0
    assert r.acl_whoami() == "default"
    assert "flags" in r.client_trackinginfo()
    assert r.client_list()[0]["lib-name"].startswith("redis-py")
print("  redis-py: both protocols")

"""Tests python-socketio, threaded and asyncio, against a server: polling, WebSocket, and an upgrade from polling."""

import asyncio
import sys
import threading
import urllib.request

import socketio

URL = sys.argv[1]
BODIES = ["text 온실 🎋", {"a": [1, None]}, 42, b"\x00\xff"]
SEEN = ["text 온실 🎋", {"a": [1, None]}, 42, "AP8="]


def check(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: {got!r} is not {expected!r}")


def post(channel, body):
    urllib.request.urlopen(f"{URL}/c/{channel}", data=body.encode()).close()


def waiting(name, transports):
    """Tests the threaded client. Its handler takes the message as its only argument, as existing handlers do."""
    channel, got, enough = f"py-{name}", [], threading.Event()
    wanted = len(BODIES) + 200
    client = socketio.Client(reconnection=False)

    @client.on("message", namespace=f"/c/{channel}")
    def message(one):
        got.append(one)
        if len(got) == wanted:
            enough.set()

    client.connect(URL, namespaces=[f"/c/{channel}"], transports=transports)
    acks = [client.call("message", body, namespace=f"/c/{channel}") for body in BODIES]
    for number in range(200):
        client.emit("message", number, namespace=f"/c/{channel}")
    if not enough.wait(20):
        sys.exit(f"{name}: {len(got)} of {wanted} messages")
    check(name, [one["body"] for one in got], SEEN + list(range(200)))
    check(f"{name}, ids", [one["id"] for one in got[: len(acks)]], [ack["id"] for ack in acks])
    check(f"{name}, transport", client.transport(), transports[-1])
    client.disconnect()

    # A client that comes back receives exactly the messages that were published while it was away.
    for number in range(5):
        post(channel, f"away {number}")
    back, all_back = [], threading.Event()
    again = socketio.Client(reconnection=False)

    @again.on("message", namespace=f"/c/{channel}")
    def later(one):
        back.append(one["body"])
        if len(back) == 5:
            all_back.set()

    auth = {"after": got[-1]["id"], "from": "python"}
    again.connect(URL, namespaces=[f"/c/{channel}"], transports=transports, auth=auth)
    if not all_back.wait(20):
        sys.exit(f"{name}: {len(back)} of 5 messages after coming back")
    check(f"{name}, back", back, [f"away {number}" for number in range(5)])
    again.disconnect()


def refused():
    client, errors = socketio.Client(reconnection=False), []
    client.on("connect_error", errors.append, namespace="/chat")
    try:
        client.connect(URL, namespaces=["/chat"])
    except socketio.exceptions.ConnectionError:
        check("refused", [error["message"] for error in errors], ["Invalid namespace"])
        return
    sys.exit("a namespace that is no channel was let in")


async def concurrent():
    client, got, enough = socketio.AsyncClient(reconnection=False), [], asyncio.Event()

    @client.on("message")
    async def message(one):
        got.append((one["channel"], one["body"]))
        if len(got) == 2:
            enough.set()

    await client.connect(URL, transports=["websocket"])
    answer = await client.call("subscribe", (["py-a", "py-b"],))
    check("subscribe", "cursor" in answer, True)
    await client.call("publish", ("py-a", "one"))
    await client.call("publish", ("py-b", {"n": 2}, {"key": "k"}))
    await asyncio.wait_for(enough.wait(), 20)
    check("asyncio", got, [("py-a", "one"), ("py-b", {"n": 2})])
    await client.disconnect()


for name, transports in [("polling", ["polling"]), ("websocket", ["websocket"]), ("upgrade", ["polling", "websocket"])]:
    waiting(name, transports)
refused()
asyncio.run(concurrent())
print("python-socketio: all well, by polling, by WebSocket and by one that became the other.")

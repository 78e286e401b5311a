# SPDX-License-Identifier: Apache-2.0
"""Scripted LwM2M devices over plain CoAP: registration, object 5 or Pelion's update objects, downloads by CoAP and HTTP.

One thread runs a whole fleet. A device does what its attributes say; a test changes them and looks at what happened. A device is
powered off and on by `off()` and `on()`: what it keeps is in `flash`.
"""
import hashlib
import os
import selectors
import socket
import struct
import threading
import time
import urllib.parse
import urllib.request

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = 1, 2, 3, 4
CREATED, DELETED, CHANGED, CONTENT, CONTINUE = 0x41, 0x42, 0x44, 0x45, 0x5f
BAD_REQUEST, NOT_FOUND, NOT_ALLOWED, INCOMPLETE, UNAVAILABLE = 0x80, 0x84, 0x85, 0x88, 0xa3
OBSERVE, URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, BLOCK2, BLOCK1, PROXY_URI, SIZE1 = 6, 11, 12, 14, 15, 23, 27, 35, 60
LOCATION_PATH = 8
SENML_JSON = 110


def uint(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def encode(kind, code, mid, token=b"", options=(), payload=b""):
    out = bytearray([0x40 | kind << 4 | len(token), code]) + struct.pack(">H", mid) + token
    last = 0
    for number, value in sorted(options, key=lambda o: o[0]):
        head, tail = 0, b""
        for shift, n in ((4, number - last), (0, len(value))):
            if n >= 269:
                head |= 14 << shift
                tail += struct.pack(">H", n - 269)
            elif n >= 13:
                head |= 13 << shift
                tail += bytes([n - 13])
            else:
                head |= n << shift
        out += bytes([head]) + tail + value
        last = number
    return bytes(out + (b"\xff" + payload if payload else b""))


class Message:
    def __init__(self, data):
        self.kind, self.code = data[0] >> 4 & 3, data[1]
        self.mid = struct.unpack(">H", data[2:4])[0]
        at = 4 + (data[0] & 15)
        self.token, self.options, number = data[4:at], {}, 0
        while at < len(data) and data[at] != 0xff:
            parts = [data[at] >> 4, data[at] & 15]
            at += 1
            for i in (0, 1):
                if parts[i] == 13:
                    parts[i] = data[at] + 13
                    at += 1
                elif parts[i] == 14:
                    parts[i] = struct.unpack(">H", data[at:at + 2])[0] + 269
                    at += 2
            number += parts[0]
            self.options.setdefault(number, []).append(data[at:at + parts[1]])
            at += parts[1]
        self.payload = data[at + 1:] if at < len(data) else b""

    def number(self, option, default=None):
        return int.from_bytes(self.options[option][0], "big") if option in self.options else default

    @property
    def path(self):
        return "/" + "/".join(s.decode() for s in self.options.get(URI_PATH, []))


class Exchange:
    """A request of ours until its response."""

    def __init__(self, data, done):
        self.data, self.done = data, done
        self.next, self.wait = time.monotonic() + 0.3, 0.3
        self.acked = False


class Device:
    """Knows object 3, and object 5 (default) or 10252, 10255 and 14 (pelion=True)."""

    def __init__(self, fleet, name, pelion=False, version="1.0.0", **how):
        self.fleet, self.name, self.pelion = fleet, name, pelion
        self.flash = {"version": version}  # survives a power cut
        self.schemes = (0,)       # /5/0/8: 0 coap, 1 coaps, 2 http, 3 https
        self.delivery = 2         # /5/0/9: 0 pull, 1 push, 2 both
        self.next_version = None  # what runs after an update; None: unchanged
        self.result = 0           # /5/0/5 (or 10252/0/3) to fail with instead of going on
        self.fail_at = "downloaded"   # or "delivered", "installed"
        self.block_size = 512
        self.download_pause = 0.0     # between blocks
        self.reboots = {}             # state name → how often to lose power there
        self.silent_at = None         # state name in which it goes off for ever
        self.mute = False             # answers nothing, acknowledges nothing
        self.tell = True              # notifies states
        self.update_every = 0.5       # registration updates, s
        self.lifetime = 600
        self.__dict__.update(how)
        # what a test looks at
        self.device_id = None
        self.registrations = self.installs = self.deliveries = self.downloads = self.blocks = 0
        self.urls, self.manifests, self.images, self.states_seen = [], [], [], []
        self.errors = []
        self._reset()
        self.powered = False

    def _reset(self):
        self.sock = None
        self.exchanges, self.done_mids, self.observers = {}, {}, {}
        self.location, self.state, self.update_result = None, 1 if self.pelion else 0, -1 if self.pelion else 0
        self.push, self.push_len, self.image, self.url = bytearray(), 0, None, None
        self.timers, self.observe_seq = [], 1
        self.epoch = getattr(self, "epoch", 0) + 1
        self.notes, self.note_busy = [], False

    # ---- power ----

    def on(self):
        self.fleet.call(self._on)
        return self

    def off(self):
        self.fleet.call(self._off)

    def _on(self):
        self._reset()
        self.powered = True
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))
        self.fleet.selector.register(self.sock, selectors.EVENT_READ, self)
        self.mid = int.from_bytes(os.urandom(2), "big")
        if "image" in self.flash and self.flash.get("installing"):
            self._boot_new()
        elif self.pelion and "manifest" in self.flash:
            self.state = 2  # an interrupted update waits
        self._register()

    def _off(self):
        if self.sock is not None:
            self.fleet.selector.unregister(self.sock)
            self.sock.close()
        self._reset()
        self.powered = False

    def _later(self, seconds, fn, *args):
        self.timers.append((time.monotonic() + seconds, fn, args))

    def _reboot(self, seconds=0.1):
        flash = dict(self.flash)
        self._off()
        self.flash = flash
        self.fleet.later(seconds, self._on)

    def _hit(self, name):
        """A named moment: perhaps the power fails here."""
        if self.silent_at == name:
            self.flash.clear()
            self.flash["version"] = "dead"
            self._off()
            return True
        if self.reboots.get(name, 0) > 0:
            self.reboots[name] -= 1
            self._reboot()
            return True
        return False

    # ---- messages ----

    def _send(self, data):
        if self.sock is not None:
            try:
                self.sock.sendto(data, self.fleet.address)
            except OSError:
                pass  # the server is down: sent again

    def _mid(self):
        self.mid = self.mid + 1 & 0xffff
        return self.mid

    def _request(self, code, path, done, query=(), payload=b"", options=()):
        token = os.urandom(4)
        opts = [(URI_PATH, s.encode()) for s in path.strip("/").split("/")] + [(URI_QUERY, q.encode()) for q in query]
        data = encode(CON, code, self._mid(), token, opts + list(options), payload)
        self.exchanges[token] = Exchange(data, done)
        self._send(data)

    def _register(self):
        objects = "</1/0>,</3/0>,</5/0>"
        query = [f"ep={self.name}", f"lt={self.lifetime}", "lwm2m=1.1", "b=U"]
        if self.pelion:  # standing observations: tokens of two bytes, never asked for
            query.append("mccv=4.12.0")
            self.observers = {"/10252/0/2": b"\0\1", "/10252/0/3": b"\0\2", "/14/0/2": b"\0\3"}
            objects = (f'</1/0>,</3/0>,</10252/0/1>,</10252/0/2>;v="{self.state}";aobs="1",'
                       f'</10252/0/3>;v="{self.update_result}";aobs="2",</10255/0/0>;v="4",'
                       f'</14/0/0>;v="MAIN",</14/0/2>;v="{self.flash["version"]}";aobs="3"')

        def done(m):
            if m.code != CREATED:
                self.errors.append(f"register: {m.code:#x}")
                self._later(0.5, self._register)
                return
            self.location = "/".join(s.decode() for s in m.options[LOCATION_PATH])
            self.registrations += 1
            self._later(self.update_every, self._update)
            if self.pelion and self.state == 2:
                self._later(0.2, self._pelion_manifest, self.flash["manifest"])

        self._request(POST, "/rd", done, query, objects.encode(), [(CONTENT_FORMAT, b"\x28")])

    def _update(self):
        def done(m):
            if m.code == CHANGED:
                self._later(self.update_every, self._update)
            else:
                self._register()

        self._request(POST, "/" + self.location, done)

    def readable(self):
        try:
            data = self.sock.recv(4096)
        except OSError:
            return
        if self.mute or len(data) < 4:
            return
        m = Message(data)
        if m.code == 0:
            self._empty(m)
        elif m.code >> 5 == 0:
            self._served(m)
        else:
            if m.kind == CON:
                self._send(encode(ACK, 0, m.mid))
            exchange = self.exchanges.pop(m.token, None)
            if exchange:
                exchange.done(m)

    def _empty(self, m):
        for token, x in list(self.exchanges.items()):
            if struct.unpack(">H", x.data[2:4])[0] == m.mid:
                if token.startswith(b"note"):
                    del self.exchanges[token]
                    x.done(m)
                else:
                    x.acked = True
                    x.next = time.monotonic() + 10

    def _served(self, m):
        if m.mid in self.done_mids:
            self._send(self.done_mids[m.mid])
            return
        epoch = self.epoch
        code, options, payload = self._serve(m)
        answer = encode(ACK if m.kind == CON else NON, code, m.mid, m.token, options, payload)
        if self.epoch == epoch:
            self.done_mids[m.mid] = answer
            self._send(answer)
            after, self.after = getattr(self, "after", None), None
            if after:
                after()

    def _notify(self, path, value):
        """Confirmable, one after the other."""
        self.states_seen.append((path, value))
        if path in self.observers and self.tell:
            self.notes.append((path, value))
            self._note_next()

    def _note_next(self):
        if self.note_busy or not self.notes:
            return
        path, value = self.notes.pop(0)
        self.note_busy = True
        self.observe_seq += 1
        data = encode(CON, CONTENT, self._mid(), self.observers[path],
                      [(OBSERVE, uint(self.observe_seq)), (CONTENT_FORMAT, b"")], str(value).encode())

        def done(_):
            self.note_busy = False
            self._note_next()

        self.exchanges[b"note" + os.urandom(4)] = Exchange(data, done)
        self._send(data)

    def tick(self, now):
        for x in list(self.exchanges.values()):
            if now >= x.next and not self.mute:
                x.wait = min(x.wait * 2, 2)
                x.next = now + x.wait
                self._send(x.data)
        due = [t for t in self.timers if t[0] <= now]
        self.timers = [t for t in self.timers if t[0] > now]
        for _, fn, args in due:
            fn(*args)

    # ---- objects ----

    def _set(self, state, result=None):
        base = "/10252/0/" if self.pelion else "/5/0/"
        if result is not None and result != self.update_result:
            self.update_result = result
            self._notify(base + ("3" if self.pelion else "5"), result)
        if state != self.state:
            self.state = state
            self._notify(base + ("2" if self.pelion else "3"), state)

    def _serve(self, m):
        text = [(CONTENT_FORMAT, b"")]
        path = m.path
        values = {"/3/0/3": self.flash["version"], "/5/0/3": self.state, "/5/0/5": self.update_result,
                  "/10252/0/2": self.state, "/10252/0/3": self.update_result}
        if m.code == GET and path in values and self._has(path):
            if m.number(OBSERVE) == 0:
                self.observers[path] = m.token
                text = text + [(OBSERVE, uint(self.observe_seq))]
            return CONTENT, text, str(values[path]).encode()
        if m.code == GET and path in ("/5/0", "/10252/0", "/10255/0", "/14") and self._has(path):
            return CONTENT, [(CONTENT_FORMAT, bytes([SENML_JSON]))], self._object(path)
        if m.code == PUT and path == "/5/0/0" and not self.pelion:
            return self._pushed(m)
        if m.code == PUT and path == "/5/0/1" and not self.pelion:
            return self._uri(m)
        if m.code == POST and path == "/5/0/2" and not self.pelion:
            if self.state != 2:
                return NOT_ALLOWED, [], b""
            self.after = self._install
            return CHANGED, [], b""
        if m.code == POST and path == "/10252/0/1" and self.pelion:
            return self._manifest_in(m)
        return NOT_FOUND, [], b""

    def _has(self, path):
        if path.startswith("/3/"):
            return True
        return self.pelion == (not path.startswith("/5"))

    def _object(self, path):
        import json
        if path == "/5/0":
            e = [{"bn": "/5/0/", "n": "3", "v": self.state}, {"n": "5", "v": self.update_result},
                 {"n": "9", "v": self.delivery}] + [{"n": f"8/{i}", "v": s} for i, s in enumerate(self.schemes)]
        elif path == "/10252/0":
            e = [{"bn": "/10252/0/", "n": "2", "v": self.state}, {"n": "3", "v": self.update_result}]
        elif path == "/10255/0":
            e = [{"bn": "/10255/0/", "n": "0", "v": 4}]
        else:
            e = [{"bn": "/14/", "n": "0/0", "vs": "MAIN"}, {"n": "0/2", "vs": self.flash["version"]}]
        return json.dumps(e).encode()

    # ---- object 5 ----

    def _pushed(self, m):
        block = m.number(BLOCK1)
        if block is None:
            if m.payload in (b"", b"\0"):
                self._forget()
                return CHANGED, [], b""
            self._got_push(m.payload)
            return CHANGED, [], b""
        num, more, size = block >> 4, block >> 3 & 1, 16 << (block & 7)
        echo = [(BLOCK1, uint(block))]
        if num == 0:
            self.push = bytearray()
        if len(self.push) != num * size:
            return INCOMPLETE, echo, b""
        self.push += m.payload
        self.blocks += 1
        if self._hit(f"push {num}"):
            return INCOMPLETE, [], b""
        if more:
            return CONTINUE, echo, b""
        self._got_push(bytes(self.push))
        return CHANGED, echo, b""

    def _got_push(self, data):
        self.deliveries += 1
        self.image = data
        self.after = self._delivered

    def _uri(self, m):
        url = m.payload.decode()
        if not url:
            self._forget()
            return CHANGED, [], b""
        self.deliveries += 1
        self.urls.append(url)
        self.url = url
        self.after = self._delivered
        return CHANGED, [], b""

    def _forget(self):
        self.image = self.url = None
        self.after = lambda: self._set(0, 0)

    def _failed(self):
        self.flash.pop("manifest", None)
        self._set(1 if self.pelion else 0, self.result)

    def _delivered(self):
        if self._hit("delivered"):
            return
        if self.result and self.fail_at == "delivered":
            self._failed()
        elif self.image is not None:
            self._downloaded()
        else:
            self._set(1, 0)
            self._later(0.01, self._download)

    def _download(self):
        if self._hit("downloading"):
            return
        self.downloads += 1
        scheme = urllib.parse.urlsplit(self.url).scheme
        if scheme in ("coap", "coaps") or (self.pelion and self.delivery == 1):
            self._block(0, bytearray())
        else:
            self._http()

    def _http(self):
        epoch = self.epoch

        def work():
            try:
                with urllib.request.urlopen(self.url, timeout=20) as answer:
                    data = answer.read()
            except OSError as e:
                self.errors.append(f"http: {e}")
                self.fleet.call(lambda: self.epoch == epoch and self._later(0.5, self._http))
                return
            self.fleet.call(lambda: self.epoch == epoch and self._got(data))

        threading.Thread(target=work, daemon=True).start()

    def _block(self, num, data):
        options = [(BLOCK2, uint(num << 4 | (self.block_size.bit_length() - 5)))]
        if self.pelion:
            path = "/fw"
            options.append((PROXY_URI, self.url.encode()))
        else:
            path = urllib.parse.urlsplit(self.url).path

        def done(m):
            if m.code == UNAVAILABLE:
                self._later(min(m.number(MAX_AGE, 60), 1), self._block, num, data)
                return
            if m.code != CONTENT:
                self.errors.append(f"GET {path}: {m.code:#x}")
                self.result = self.result or (24 if self.pelion else 7)
                self._failed()
                return
            self.blocks += 1
            data.extend(m.payload)
            if self._hit(f"block {num}"):
                return
            if m.number(BLOCK2, 0) >> 3 & 1:
                if self.download_pause:
                    self._later(self.download_pause, self._block, num + 1, data)
                else:
                    self._block(num + 1, data)
            else:
                self._got(bytes(data))

        self._request(GET, path, done, options=options)

    def _got(self, data):
        self.image = data
        self._downloaded()

    def _downloaded(self):
        self.images.append(hashlib.sha256(self.image).hexdigest())
        if self._hit("downloaded"):
            return
        if self.result and self.fail_at == "downloaded":
            self._failed()
        elif self.pelion:
            self._set(6)
            self._later(0.02, self._install)
        else:
            self._set(2, 0)

    def _install(self):
        self._set(7 if self.pelion else 3)
        self.flash["image"] = hashlib.sha256(self.image).hexdigest()
        self.flash["installing"] = True
        self._later(0.1, self._installed)

    def _installed(self):
        if self._hit("installing"):
            return
        if self.pelion:
            self._set(8)
        self._later(0.05, self._reboot)

    def _boot_new(self):
        self.installs += 1
        self.flash.pop("installing")
        self.flash.pop("image")
        self.flash.pop("manifest", None)
        if self.result and self.fail_at == "installed":
            self.update_result = self.result
            return
        if self.next_version:
            self.flash["version"] = self.next_version
        if not self.pelion:
            self.update_result = 1

    # ---- Pelion ----

    def _manifest_in(self, m):
        block = m.number(BLOCK1)
        if m.options.get(CONTENT_FORMAT, [b""])[0] != b"":
            return BAD_REQUEST, [], b""
        echo = []
        if block is not None:
            num, more, size = block >> 4, block >> 3 & 1, 16 << (block & 7)
            self.push = bytearray() if num == 0 else self.push
            echo = [(BLOCK1, uint(block))]
            if len(self.push) != num * size:
                return INCOMPLETE, echo, b""
            self.push += m.payload
            if more:
                return CONTINUE, echo, b""
        data = m.payload if block is None else bytes(self.push)
        self.deliveries += 1
        self.manifests.append(data)
        if "manifest" not in self.flash:  # another one while one is under way is taken and ignored
            self.flash["manifest"] = data
            self.after = lambda: self._pelion_manifest(data)
        return CHANGED, echo, b""

    def _pelion_manifest(self, data):
        """The address stands in the manifest as text: find it."""
        if self._hit("delivered"):
            return
        if self.result and self.fail_at == "delivered":
            self._set(2)
            self._failed()
            return
        at = data.find(b"http")
        self.url = data[at:at + data[at - 1]].decode() if at > 0 else ""
        self.urls.append(self.url)
        self._set(3)
        self._later(0.02, self._set, 4)
        self._later(0.03, self._download)


class Fleet:
    """Devices and the thread that runs them."""

    def __init__(self, address):
        self.address = address
        self.selector = selectors.DefaultSelector()
        self.devices, self.calls, self.timers = [], [], []
        self.lock = threading.Lock()
        self.running = True
        self.failure = None
        self.wake_r, self.wake_w = socket.socketpair()
        self.wake_r.setblocking(False)
        self.selector.register(self.wake_r, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def device(self, name, **how):
        d = Device(self, name, **how)
        self.call(lambda: self.devices.append(d))
        return d.on()

    def call(self, fn):
        """Run on the fleet's thread, soon."""
        with self.lock:
            self.calls.append(fn)
        self.wake_w.send(b"x")

    def later(self, seconds, fn):
        with self.lock:
            self.timers.append((time.monotonic() + seconds, fn))

    def _turn(self):
        for key, _ in self.selector.select(0.01):
            if key.data is None:
                self.wake_r.recv(4096)
            else:
                key.data.readable()
        now = time.monotonic()
        with self.lock:
            calls, self.calls = self.calls, []
            calls += [fn for at, fn in self.timers if at <= now]
            self.timers = [t for t in self.timers if t[0] > now]
        for fn in calls:
            fn()
        for d in self.devices:
            if d.powered:
                d.tick(now)

    def _run(self):
        while self.running:
            try:
                self._turn()
            except Exception as e:  # pylint: disable=broad-except
                self.failure = e
                raise

    def stop(self):
        self.running = False
        self.thread.join(5)
        for d in self.devices:
            if d.sock is not None:
                d.sock.close()
        assert self.failure is None, self.failure

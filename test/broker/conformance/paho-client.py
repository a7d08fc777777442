"""An unmodified paho-mqtt client, version 1 or 2, against the broker whose port is the first argument."""

import queue
import sys
import threading

import paho.mqtt.client as mqtt

PORT = int(sys.argv[1])
WAIT_SECONDS = 60


class Client:
    def __init__(self, name, clean=True, will=None):
        if hasattr(mqtt, "CallbackAPIVersion"):
            self.paho = mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, name, clean_session=clean)
        else:
            self.paho = mqtt.Client(name, clean_session=clean)
        self.messages = queue.Queue()
        self.connected = queue.Queue()
        self.subscribed = threading.Event()
        self.paho.on_connect = lambda _client, _data, flags, code: self.connected.put((flags["session present"], code))
        self.paho.on_message = lambda _client, _data, message: self.messages.put(message)
        self.paho.on_subscribe = lambda *_: self.subscribed.set()
        if will is not None:
            self.paho.will_set(will, "last words", qos=2, retain=True)
        self.paho.connect("127.0.0.1", PORT)
        self.paho.loop_start()
        present, code = self.connected.get(timeout=WAIT_SECONDS)
        assert code == 0, code
        self.present = present

    def subscribe(self, topic):
        self.subscribed.clear()
        self.paho.subscribe(topic, 2)
        assert self.subscribed.wait(WAIT_SECONDS), topic

    def publish(self, topic, payload, qos, retain=False):
        info = self.paho.publish(topic, payload, qos, retain)
        info.wait_for_publish()
        assert info.is_published(), (topic, qos)

    def expect(self, payload, qos, retain=False):
        message = self.messages.get(timeout=WAIT_SECONDS)
        seen = (message.payload.decode(), message.qos, bool(message.retain))
        assert seen == (payload, qos, retain), seen

    def end(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def crash(self):
        # Without DISCONNECT, as a broken connection is.
        self.paho.loop_stop()
        self.paho.socket().close()


publisher = Client("paho-publisher")
reader = Client("paho-reader", clean=False)
assert not reader.present
reader.subscribe("paho/#")
for level in (0, 1, 2):
    publisher.publish("paho/a", f"m{level}", level)
    reader.expect(f"m{level}", level)
reader.end()
for level in (1, 2):
    publisher.publish("paho/a", f"away {level}", level)
reader = Client("paho-reader", clean=False)
assert reader.present
for level in (1, 2):
    reader.expect(f"away {level}", level)

publisher.publish("kept/a", "kept", 2, retain=True)
reader.subscribe("kept/#")
reader.expect("kept", 2, retain=True)

reader.subscribe("will/#")
Client("paho-mortal", will="will/a").crash()
reader.expect("last words", 2)
reader.end()
publisher.end()
print("all claims hold")

import { type AddressInfo, createServer } from "node:net";
import { Aedes, type Client } from "aedes";
import { test } from "tap";
import { guardClientBook } from "../../../broker/src/gate/client-book.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Teardown } from "../../support/teardown.ts";
import { until } from "../../support/time.ts";

interface SlowAedes {
  aedes: Aedes;
  port: number;
  /** What the store does just before a client is registered. */
  persistence: { delWill: () => Promise<void> };
}

async function startAedes(t: Teardown, guarded: boolean): Promise<SlowAedes> {
  const aedes = await Aedes.createBroker({});
  const { persistence } = aedes as unknown as SlowAedes;
  if (guarded) guardClientBook(aedes);
  const server = createServer((socket) => aedes.handle(socket, undefined as never));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  t.teardown(() => {
    server.close();
    aedes.close();
  });
  return { aedes, persistence, port: (server.address() as AddressInfo).port };
}

type ClosableClient = Client & { closed: boolean };

/** Is the first holder of an id still taken over, when another one went away just before its registration? */
async function holderIsTakenOver(t: Teardown, guarded: boolean): Promise<boolean> {
  const { aedes, persistence, port } = await startAedes(t, guarded);
  const holder = await MqttClient.connect(t, port, "same");
  const passing = await MqttClient.open(t, port);
  let registering: ClosableClient | undefined;
  aedes.authenticate = (client, _user, _password, admit) => {
    registering = client as ClosableClient;
    admit(null, true);
  };
  const registered = new Promise<void>((done) => {
    persistence.delWill = async () => {
      // It is authenticated: now it goes away, and the store answers when aedes has noticed.
      passing.drop();
      await until(() => registering?.closed === true);
      setImmediate(done);
    };
  });
  passing.sendConnect("same");
  await registered;
  persistence.delWill = async () => {};
  await MqttClient.connect(t, port, "same");
  return await holder.settle().then(
    () => false,
    () => true,
  );
}

test("a client that goes away before its registration leaves the holder of its id in the book [MQTT-3.1.4-2]", async (t) => {
  t.equal(await holderIsTakenOver(t, true), true);
  t.equal(await holderIsTakenOver(t, false), false, "unguarded, two clients have one id");
});

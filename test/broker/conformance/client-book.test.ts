import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Aedes } from "aedes";
import { test } from "tap";
import { guardClientBook } from "../../../broker/src/gate/client-book.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Teardown } from "../../support/teardown.ts";

/** Aedes with a store that takes its time just before a client is registered. */
async function startAedes(t: Teardown, guarded: boolean): Promise<{ aedes: Aedes; port: number }> {
  const aedes = await Aedes.createBroker({});
  const { persistence } = aedes as unknown as { persistence: { delWill: () => Promise<void> } };
  persistence.delWill = () => sleep(60);
  if (guarded) guardClientBook(aedes);
  const server = createServer((socket) => aedes.handle(socket, undefined as never));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  t.teardown(() => {
    server.close();
    aedes.close();
  });
  return { aedes, port: (server.address() as AddressInfo).port };
}

/** Is the first holder of an id still taken over, when another one went away just before its registration? */
async function holderIsTakenOver(t: Teardown, guarded: boolean): Promise<boolean> {
  const { aedes, port } = await startAedes(t, guarded);
  const holder = await MqttClient.connect(t, port, "same");
  const authenticated = new Promise<void>((done) => {
    aedes.authenticate = (_client, _user, _password, admit) => {
      admit(null, true);
      done();
    };
  });
  const passing = await MqttClient.open(t, port);
  passing.sendConnect("same");
  await authenticated;
  passing.drop();
  await sleep(180);
  if (holder.isClosed) return true;
  await MqttClient.connect(t, port, "same");
  return await Promise.race([holder.closed.then(() => true), sleep(250).then(() => false)]);
}

test("a client that goes away before its registration leaves the holder of its id in the book [MQTT-3.1.4-2]", async (t) => {
  t.equal(await holderIsTakenOver(t, true), true);
  t.equal(await holderIsTakenOver(t, false), false, "unguarded, two clients have one id");
});

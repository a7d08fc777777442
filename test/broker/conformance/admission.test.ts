/** What happens while a client is being authenticated: passwords take tens of milliseconds, so it is a real while. */
import { join } from "node:path";
import t, { test } from "tap";
import { startBroker, temporaryDirectory } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { login, writeUsers } from "../auth-fixtures.ts";
import { connectPacket, field, packet } from "./raw.ts";

const usersFile = join(await temporaryDirectory(t), "users.yaml");
const anyClient = `{ name: user, hash: HASH, clientIds: ["*"], publish: ["#"], subscribe: ["#"] }`;
await writeUsers(usersFile, `users: [${anyClient}]`);
const { port, program } = await startBroker(t, {
  args: ["--durability", "memory", "--users-file", usersFile],
});
const credentials = [field("user"), field("secret")];
const connectAs = (id: string): Buffer => connectPacket({ id, flags: 0xc2, rest: credentials });

test("a client that goes away while it is being authenticated leaves nothing behind", async (t) => {
  for (let number = 0; number < 5; number++) {
    const passing = await MqttClient.open(t, port);
    await new Promise((sent) => passing.socket.write(connectAs("passing"), sent));
    passing.drop();
  }
  const stays = await login(t, port, { clientId: "passing", username: "user" });
  t.equal(stays.connack.returnCode, 0);
  t.same(await stays.settle(), []);
  const successor = await login(t, port, { clientId: "passing", username: "user" });
  await stays.closed;
  t.same(await successor.settle(), []);
  await successor.disconnect();
  const left = () => program.lines.filter(({ clientId }) => clientId === "passing");
  await program.line(
    ({ event, reason, clientId }) =>
      clientId === "passing" && event === "connection.closed" && reason === "disconnect",
  );
  const count = (name: string): number => left().filter(({ event }) => event === name).length;
  t.equal(count("connection.opened"), count("connection.closed"), "whatever was opened is closed");
});

test("of clients with one id that are authenticated at the same time one stays, and can be taken over", async (t) => {
  const rivals: MqttClient[] = [];
  for (let number = 0; number < 6; number++) {
    const rival = await MqttClient.open(t, port);
    rival.socket.write(connectAs("rivals"));
    rivals.push(rival);
  }
  await Promise.all(
    rivals.map((rival) => Promise.race([rival.closed, rival.next("connack").catch(() => {})])),
  );
  const last = await login(t, port, { clientId: "rivals", username: "user" });
  await Promise.all(rivals.map(({ closed }) => closed));
  await last.subscribe("rivals", 1);
  await last.publish("rivals", "m");
  t.equal(await last.receive(), "m");
});

test("[MQTT-3.1.4-5] what comes before the CONNACK waits in the socket, and reaches nobody when the client is refused", async (t) => {
  const watcher = await login(t, port, { clientId: "watcher", username: "user" });
  await watcher.subscribe("early", 1);
  const stranger = await MqttClient.open(t, port);
  const rest = [field("user"), field("wrong")];
  stranger.socket.write(connectPacket({ id: "stranger", flags: 0xc2, rest }));
  const message = packet(0x30, field("early"), Buffer.alloc(60_000));
  for (let count = 0; count < 500; count++) stranger.socket.write(message);
  t.equal((await stranger.next("connack")).returnCode, 5);
  t.ok(stranger.socket.writableLength > 10_000_000, "most of 30 MB was not read");
  stranger.drop();
  t.same(await watcher.settle(), []);
  t.equal(program.child.exitCode, null);
});

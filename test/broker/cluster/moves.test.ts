/** What comes to clients that move from broker to broker. */
import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { reaches, skip, startTwo } from "./brokers.ts";

test("a session's queue stays in order when its client moves from an idle connection", {
  skip,
}, async (t) => {
  const { redis, a, b } = await startTwo(t);
  /** Everything is done, and whoever has the client is called when more comes. */
  const idle = (): boolean =>
    cli(redis, "XLEN", "equipoise:{default}:queue:/mover") === "0" &&
    cli(redis, "HEXISTS", "equipoise:{default}:waiting", "/mover") === "1";
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  let port = a.port;
  for (let round = 0; round < 5; round++) {
    const client = await MqttClient.connect(t, port, "mover", { clean: false });
    if (round === 0) await client.subscribe("moves/#");
    if (round === 0) await reaches(publisher, "moves/x", client);
    for (let n = 0; n < 5; n++) await publisher.publish("moves/x", `${round}.${n}`);
    for (let n = 0; n < 5; n++) t.equal(await client.receive(), `${round}.${n}`);
    await until(idle);
    port = port === a.port ? b.port : a.port;
  }
});

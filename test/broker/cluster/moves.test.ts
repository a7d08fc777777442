/** What comes to clients that move from broker to broker. */
import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { pause } from "../../support/time.ts";
import { skip, startTwo } from "./brokers.ts";

test("a session's queue stays in order when its client moves from an idle connection", {
  skip,
}, async (t) => {
  const { a, b } = await startTwo(t);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  let port = a.port;
  for (let round = 0; round < 5; round++) {
    const client = await MqttClient.connect(t, port, "mover", { clean: false });
    if (round === 0) await client.subscribe("moves/#");
    if (round === 0) await pause(300);
    for (let n = 0; n < 5; n++) await publisher.publish("moves/x", `${round}.${n}`);
    for (let n = 0; n < 5; n++) t.equal(await client.receive(), `${round}.${n}`);
    await pause(200);
    port = port === a.port ? b.port : a.port;
  }
});

/**
 * Valid packet streams, damaged at random: the broker lives, its memory returns, everybody else is served.
 * EQUIPOISE_FUZZ_STREAMS=100000 for the long run (`tap --timeout=900`), EQUIPOISE_FUZZ_SEED to repeat one.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { seededRandom } from "../../support/random.ts";
import { until } from "../../support/time.ts";
import { connectPacket, field, packet } from "./raw.ts";

const streams = Number(process.env.EQUIPOISE_FUZZ_STREAMS ?? 3_000);
const seed = Number(process.env.EQUIPOISE_FUZZ_SEED ?? 20_261);
const atOnce = 32;
/** Of the resident set, most of it garbage not yet collected: streams that left 80 KiB behind each would show. */
const maxGrownMiB = 150 + streams * 0.002;

/** Small, so that what a stream may leave behind is soon at its bound. */
const bounds = [
  ["--limits-max-offline-sessions", "50"],
  ["--limits-max-retained-bytes", "1MiB"],
  ["--limits-max-queue-bytes", "1MiB"],
  ["--undeclared-pools-max-backlog-bytes", "1MiB"],
  ["--limits-max-pools", "20"],
  ["--undeclared-pools-remove-after-ms", "500"],
  ["--limits-connect-timeout-ms", "500"],
].flat();

const random = seededRandom(seed);
const below = (bound: number): number => Math.floor(random() * bound);
const one = <T>(items: readonly T[]): T => items[below(items.length)] as T;
const id = (): number[] => [0, 1 + below(5)];
const topic = (): Buffer => field(one(["a", "a/b", "a//b", "$share/p/a", "$SYS/x", "ticks/v/S/x", "é", "/"]));
const filter = (): Buffer => field(one(["a", "#", "+/b", "$share/p/#", "$share/q/a/+", "ticks/#", "$SYS/#"]));

const makers: readonly (() => Buffer)[] = [
  () => packet(0x30 | below(2), topic(), Buffer.alloc(below(300), "x")),
  () => packet(0x32 | (below(2) << 3) | below(2), topic(), id(), Buffer.alloc(below(300), "x")),
  () => packet(0x34 | below(2), topic(), id(), Buffer.from("{}")),
  () => packet(0x62, id()),
  () => packet(one([0x40, 0x50, 0x70]), id()),
  () => packet(0x82, id(), filter(), [below(3)], filter(), [below(3)]),
  () => packet(0xa2, id(), filter(), filter()),
  () => packet(0xc0),
  () => packet(0x30, field(`members/f${below(9)}/reject`), Buffer.from('{"packetId":1,"reason":"x"}')),
  () => packet(0x30, field(`heartbeat/members/f${below(9)}`), Buffer.from('{"state":"up","queueDepth":1}')),
];

function connecting(): Buffer {
  const will = [field("a/b"), field("will")];
  const user = [field("user"), field("secret")];
  return one([
    () => connectPacket({ id: `f${below(9)}`, flags: below(2) * 2 }),
    () => connectPacket({ id: "", flags: 2 }),
    () => connectPacket({ id: `f${below(9)}`, flags: 0x06 | (below(3) << 3) | (below(2) << 5), rest: will }),
    () => connectPacket({ id: `f${below(9)}`, flags: 0xc2, rest: user }),
    () => connectPacket({ name: "MQIsdp", level: 3, id: `f${below(9)}` }),
  ])();
}

function stream(): Buffer {
  const packets = [connecting(), ...Array.from({ length: 1 + below(12) }, () => one(makers)())];
  if (below(4) === 0) packets.push(packet(0xe0));
  return Buffer.concat(packets);
}

const damages: readonly ((bytes: Buffer) => Buffer)[] = [
  (bytes) => bytes,
  (bytes) => {
    bytes[below(bytes.length)] = below(256);
    return bytes;
  },
  (bytes) => {
    const at = below(bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << below(8));
    return bytes;
  },
  (bytes) => bytes.subarray(0, 1 + below(bytes.length)),
  (bytes) => {
    const at = below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(8))]);
  },
  (bytes) => {
    const at = below(bytes.length);
    const more = Buffer.from(Array.from({ length: 1 + below(8) }, () => below(256)));
    return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
  },
  (bytes) => {
    const at = below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(at + 1))]);
  },
];

function damaged(): Buffer {
  let bytes = stream();
  for (let count = below(4); count > 0 && bytes.length > 0; count--) bytes = one(damages)(bytes);
  return bytes;
}

/** Sends a stream in a few segments, then half a close or a whole one, and waits for the end. */
function play(port: number, bytes: Buffer): Promise<void> {
  const cuts = [below(bytes.length + 1), below(bytes.length + 1)].sort((a, b) => a - b) as [number, number];
  const abrupt = below(4) === 0;
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
      socket.write(bytes.subarray(0, cuts[0]));
      socket.write(bytes.subarray(cuts[0], cuts[1]));
      const end = (): void => void (abrupt ? socket.destroy() : socket.end());
      socket.write(bytes.subarray(cuts[1]), end);
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.resume();
  });
}

function residentBytes(pid: number): number {
  const [, kib = "0"] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1_024;
}

test(`${streams} damaged packet streams (seed ${seed}) harm nobody`, async (t) => {
  const { port, program } = await startBroker(t, { args: bounds });
  const pid = program.child.pid as number;
  const witness = await MqttClient.connect(t, port, "witness");
  await witness.subscribe("witness", 1);
  const some = async (count: number): Promise<void> => {
    let left = count;
    const player = async (): Promise<void> => {
      while (left-- > 0) await play(port, damaged());
    };
    await Promise.all(Array.from({ length: atOnce }, player));
  };
  await some(streams / 3);
  const before = residentBytes(pid);
  await some((streams * 2) / 3);
  await witness.publish("witness", "still here");
  t.equal(await witness.receive(), "still here");
  const clean = await MqttClient.connect(t, port, "clean");
  await clean.subscribe("fuzz/#", 2);
  await clean.publish("fuzz/a", "m");
  t.equal(await clean.receive(), "m");
  const grownMiB = (): number => (residentBytes(pid) - before) / 2 ** 20;
  // How soon garbage is collected is a matter of the machine; should it not be, the check below says so.
  await until(() => grownMiB() < maxGrownMiB, 30_000).catch(() => {});
  const grown = grownMiB();
  t.ok(grown < maxGrownMiB, `memory grew by ${grown.toFixed(1)} MiB`);
  t.equal(program.child.exitCode, null);
  t.equal(program.stderr, "");
  t.equal(await program.stop(), 0);
});

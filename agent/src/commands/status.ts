import { type AgentHeartbeat, folded, tableColumns } from "@equipoise/shared";
import { answerCommand } from "./answer.ts";
import { count, counted, duration, size } from "./words.ts";

type Connection = NonNullable<AgentHeartbeat["sources"][number]["connection"]>;

/** Where what a line says begins, behind what it is about. */
const hang = 11;

const roomWords: Record<AgentHeartbeat["buffer"]["state"], string> = {
  open: "",
  full: ", FULL",
  refused: ", THE DISK TAKES NO WRITES",
};

export const status = answerCommand<AgentHeartbeat>({
  name: "status",
  summary: "how the running agent is",
  path: "/status",
  describe,
});

function describe({
  agent,
  state,
  version,
  uptimeMs,
  buffer,
  uplink,
  sources,
  clock,
  device,
}: AgentHeartbeat): string {
  const oldest = buffer.oldestAgeMs === null ? "" : `, the oldest for ${duration(buffer.oldestAgeMs)}`;
  const link = uplink.connected ? `connected to ${uplink.broker}` : "no connection to a broker";
  const lines = [
    `${agent}  ${state} for ${duration(uptimeMs)}, version ${version}`,
    `  uplink   ${link}, ${count(uplink.inFlight)} in flight, ${count(uplink.acknowledged)} acknowledged, ${counted(uplink.reconnects, "reconnect")}`,
    `  buffer   ${count(buffer.ticks)} wait${oldest}; ${size(buffer.bytes)} on disk, ${count(buffer.lost)} lost${roomWords[buffer.state]}`,
    ...sources.map(sourceLine),
    `  clock    ${clockWords(clock)}`,
    `  device   ${deviceWords(device)}`,
  ];
  return `${lines.flatMap((line) => folded(line, hang, tableColumns())).join("\n")}\n`;
}

function sourceLine(source: AgentHeartbeat["sources"][number]): string {
  const { spec, state, ticks, skipped, gaps, connection } = source;
  const counts = `${counted(ticks, "tick")}, ${count(skipped)} skipped, ${counted(gaps, "gap")}`;
  return `  source   ${spec}: ${state}${connection === undefined ? "" : connectionWords(connection)}, ${counts}`;
}

function connectionWords({ connected, forMs, reason, lastTickAgeMs, missing }: Connection): string {
  const link = connected ? "connected" : "NOT CONNECTED";
  const why = reason === null ? "" : ` (${reason})`;
  const tick = lastTickAgeMs === null ? "no tick yet" : `last tick ${duration(lastTickAgeMs)} ago`;
  const without = missing.length === 0 ? "" : `, WITHOUT ${missing.join(" ")}`;
  return `, ${link} for ${duration(forMs)}${why}, ${tick}${without}`;
}

function clockWords({ synchronised, offsetMs, steps }: AgentHeartbeat["clock"]): string {
  const follows = { true: "synchronised", false: "NOT synchronised", null: "synchronisation unknown" };
  const offset = offsetMs === null ? "" : `, off by ${offsetMs} ms`;
  return `${follows[`${synchronised}`]}${offset}${steps === 0 ? "" : `, set ${counted(steps, "time")}`}`;
}

function deviceWords(device: AgentHeartbeat["device"]): string {
  const { cpu, memoryUsedBytes, memoryBytes, temperatureC, diskFreeBytes, throttling, network } = device;
  const parts = [
    cpu === null ? undefined : `cpu ${Math.round(cpu * 100)} %`,
    memoryUsedBytes === null ? undefined : `memory ${size(memoryUsedBytes)} of ${size(memoryBytes)}`,
    temperatureC === null ? undefined : `${temperatureC} °C`,
    diskFreeBytes === null ? undefined : `${size(diskFreeBytes)} of disk free`,
    network === null
      ? undefined
      : `in ${size(network.receivedBytesPerSecond)}/s, out ${size(network.sentBytesPerSecond)}/s`,
    network?.link === false ? "NO LINK" : undefined,
    throttling === null || throttling.ever.length === 0 ? undefined : throttleWords(throttling),
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

function throttleWords({ now, ever }: NonNullable<AgentHeartbeat["device"]["throttling"]>): string {
  return now.length > 0 ? `THROTTLED: ${now.join(" ")}` : `was throttled: ${ever.join(" ")}`;
}

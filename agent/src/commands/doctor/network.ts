/** Whether brokers and venues can be reached, and whether the brokers take this agent. */
import {
  type AgentHeartbeat,
  ControlClient,
  type Environment,
  EquipoiseError,
  readTlsFiles,
  reasonOf,
  systemCode,
  withoutCredentials,
} from "@equipoise/shared";
import { WebSocket } from "ws";
import type { AgentConfig } from "../../config.ts";
import { parseSourceSpec } from "../../source/spec.ts";
import { discard, type Failure, type Identity, openClient } from "../../uplink/broker-client.ts";
import { type Finding, fail, ok, warn } from "./check.ts";

const timeoutMs = 5_000;

/**
 * A running agent is asked for its connection. Where none is found one may run all the same, with another data directory,
 * and its client id could be used only by throwing it out; so the doctor has one of its own.
 */
export async function brokers(config: AgentConfig, running: AgentHeartbeat | undefined): Promise<Finding[]> {
  if (running !== undefined) return [ofRunning(running)];
  try {
    const { username, password, keepaliveS } = config.uplink;
    const tls = readTlsFiles(config.uplink);
    const identity = { clientId: `${config.agentId}-doctor`, username, password, tls, keepaliveS };
    return await Promise.all(config.broker.map((url) => broker(url, identity)));
  } catch (error) {
    if (!(error instanceof EquipoiseError)) throw error;
    return [fail("broker", error.line)];
  }
}

/** What it says of itself; undefined where none answers in this data directory. */
export async function runningAgent(
  { dataDir, control }: AgentConfig,
  env: Environment,
): Promise<AgentHeartbeat | undefined> {
  try {
    return await new ControlClient("agent", { "data-dir": dataDir, control }, env).ask<AgentHeartbeat>(
      "GET",
      "/status",
    );
  } catch (error) {
    if (error instanceof EquipoiseError) return undefined; // none runs here
    throw error;
  }
}

function ofRunning({ uplink: { connected, broker } }: AgentHeartbeat): Finding {
  if (connected) return ok("broker", `${broker}: the running agent is connected`);
  return fail("broker", "the running agent has no connection; its log says why");
}

async function broker(url: string, identity: Identity): Promise<Finding> {
  const shown = withoutCredentials(url);
  const startedMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<Finding>();
  const client = openClient(url, identity, undefined, {
    up: () =>
      resolve(
        ok(
          "broker",
          `${shown}: accepts ${identity.clientId} after ${Math.round(performance.now() - startedMs)} ms`,
        ),
      ),
    down: (failure) => resolve(fail("broker", `${shown}: ${words(failure, identity)}`)),
  });
  const timer = setTimeout(
    () => resolve(fail("broker", `${shown}: no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const finding = await promise;
  clearTimeout(timer);
  discard(client);
  return finding;
}

function words({ code, reason }: Failure, { clientId }: Identity): string {
  const { line } = new EquipoiseError(code, reason);
  return code === "EQ_BROKER_REFUSED" ? `${line} The client id was ${clientId}.` : line;
}

export async function venues({ source }: AgentConfig): Promise<Finding[]> {
  const specs = source.map(parseSourceSpec).filter((spec) => "kind" in spec);
  const live = specs.filter((spec) => spec.kind === "venue");
  return await Promise.all(live.map(({ venue, url }) => reach(`venue ${venue.name}`, url)));
}

async function reach(name: string, url: string): Promise<Finding> {
  const startedMs = performance.now();
  const socket = new WebSocket(url, { handshakeTimeout: timeoutMs });
  const finding = await new Promise<Finding>((resolve) => {
    socket.on("open", () =>
      resolve(ok(name, `${url} after ${Math.round(performance.now() - startedMs)} ms`)),
    );
    socket.on("error", (error) => {
      resolve(
        warn(
          name,
          `${url}: ${reasonOf(error) || systemCode(error)}; check the network and the venue's status page`,
        ),
      );
    });
  });
  socket.terminate();
  return finding;
}

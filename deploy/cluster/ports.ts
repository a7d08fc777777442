/** Ports for programs that are found again at the same one after they were killed. */
import { once } from "node:events";
import { createServer } from "node:net";

export const host = "127.0.0.1";
/** Systems give away those from 32,768 or 49,152 on to whoever leaves the choice to them. */
const lowestPort = 8_000;
const highestPort = 12_000;
const maxTries = 1_000;

/** Free at this moment, all different, and none that others are given while a killed program is away. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  let next = lowestPort + Math.floor(Math.random() * (highestPort - lowestPort - maxTries));
  for (let tries = 0; ports.length < count; next++) {
    if (await isFree(next)) ports.push(next);
    else if (++tries === maxTries) throw new Error(`no free ports below ${next}`);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

/**
 * Ports for what has to be found again at the same one, or cannot choose for itself. None of them is in the range from
 * which the system gives to those who leave the choice to it, and each of tap's jobs has its own: so nobody comes to have
 * one of them before it is used, or while what used it is restarted.
 */
import { once } from "node:events";
import { createServer } from "node:net";

const lowestPort = 12_000;
const portsOfJob = 2_500;
const jobs = 8;
/** The system gives away those from 32,768 on. */
const ports = portsOfJob * jobs;

const firstOfJob = lowestPort + ((Number(process.env.TAP_JOB_ID ?? 0) * portsOfJob) % ports);
/** Another test file begins elsewhere. */
let last = (process.pid * 61) % portsOfJob;

/** A port of 127.0.0.1 on which nobody listens, and which nobody is given but by this function. */
export async function freePort(): Promise<number> {
  for (;;) {
    last = (last + 1) % portsOfJob;
    const port = firstOfJob + last;
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

/** Debian's mosquitto as another broker to test against. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";
import { freePort } from "./ports.ts";
import { type Program, startCommand } from "./program.ts";
import type { Teardown } from "./teardown.ts";

export interface Mosquitto {
  url: string;
  port: number;
  program: Program;
}

/** @param lines more lines of mosquitto.conf */
export async function startMosquitto(t: Teardown, lines: readonly string[] = []): Promise<Mosquitto> {
  const port = await freePort();
  const file = join(await temporaryDirectory(t), "mosquitto.conf");
  const access = lines.some((line) => line.startsWith("allow_anonymous")) ? [] : ["allow_anonymous true"];
  await writeFile(file, [`listener ${port} 127.0.0.1`, ...access, ...lines, ""].join("\n"));
  const program = startCommand(t, "mosquitto", ["-c", file]);
  await listening(program, port);
  return { url: `mqtt://127.0.0.1:${port}`, port, program };
}

async function listening(program: Program, port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const open = await Promise.race([
      once(socket, "connect").then(
        () => true,
        () => false,
      ),
      program.exited.then(({ code }) => {
        throw new Error(`mosquitto ended with ${code}: ${program.stderr}`);
      }),
    ]);
    socket.destroy();
    if (open) return;
  }
}

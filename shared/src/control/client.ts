/** The operator's side of a control socket. */
import { request } from "node:http";
import { join, resolve } from "node:path";
import type { Environment } from "../command/command.ts";
import { EquipoiseError, systemCode } from "../errors.ts";

/** The flags of every command that asks the running `service`, for its help. */
export function socketHelp(service: "agent" | "broker"): string {
  return `  --data-dir DIR   the running ${service}'s data directory (EQUIPOISE_DATA_DIR; default ${defaultDirectory(service)})
  --control PATH   its control socket, where it is not in the data directory`;
}

export const controlHelp = (service: "agent" | "broker"): string => `${socketHelp(service)}
  --json           print JSON`;

export const socketOptions = {
  "data-dir": { type: "string" },
  control: { type: "string" },
} as const;
export const controlOptions = {
  ...socketOptions,
  json: { type: "boolean", default: false },
} as const;

export interface ControlPlace {
  "data-dir"?: string | undefined;
  control?: string | undefined;
}

const defaultDirectory = (service: string): string => `./.equipoise/${service}`;

export class ControlClient {
  readonly #path: string;

  constructor(service: "agent" | "broker", values: ControlPlace, env: Environment) {
    const directory = values["data-dir"] ?? env.EQUIPOISE_DATA_DIR ?? defaultDirectory(service);
    this.#path = resolve(values.control ?? env.EQUIPOISE_CONTROL ?? join(directory, "control.sock"));
  }

  /**
   * Asks the service.
   * @throws EquipoiseError EQ_CONTROL_UNREACHABLE, EQ_CONTROL_REFUSED
   */
  async ask<T>(method: "GET" | "POST" | "DELETE", path: string, question?: object): Promise<T> {
    const { status, text } = await this.#send(method, path, question);
    const body = JSON.parse(text) as T & { error?: string };
    if (status !== 200) throw new EquipoiseError("EQ_CONTROL_REFUSED", body.error ?? `status ${status}`);
    return body;
  }

  #send(method: string, path: string, question?: object): Promise<{ status: number; text: string }> {
    return new Promise((done, fail) => {
      const call = request({ socketPath: this.#path, method, path }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => {
          text += part;
        });
        response.on("end", () => done({ status: response.statusCode ?? 0, text }));
      });
      call.on("error", (error) => {
        const why = systemCode(error) ?? error.message;
        fail(new EquipoiseError("EQ_CONTROL_UNREACHABLE", `${this.#path}: ${why}`, { cause: error }));
      });
      call.end(question === undefined ? undefined : JSON.stringify(question));
    });
  }
}

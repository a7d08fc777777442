/** The commands by name; each is loaded only when it is asked for. */
import type { Commands } from "@equipoise/shared";

export const commands: Commands = {
  doctor: async () => (await import("./doctor/doctor.ts")).doctor,
  status: async () => (await import("./status.ts")).status,
  buffer: async () => (await import("./buffer.ts")).buffer,
  export: async () => (await import("./export.ts")).exportRecords,
};

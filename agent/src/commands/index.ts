/** The commands by name; each is loaded only when it is asked for. */
import type { Commands } from "@equipoise/shared";

export const commands: Commands = {
  doctor: {
    summary: "looks at what an agent needs, before it runs or while it does",
    load: async () => (await import("./doctor/doctor.ts")).doctor,
  },
  status: {
    summary: "how the running agent is",
    load: async () => (await import("./status.ts")).status,
  },
  buffer: {
    summary: "what the running agent's buffer holds of each stream",
    load: async () => (await import("./buffer.ts")).buffer,
  },
  export: {
    summary: "writes the records that the running agent still has",
    load: async () => (await import("./export.ts")).exportRecords,
  },
};

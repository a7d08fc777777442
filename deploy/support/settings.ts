/** The settings that both demos have. */
import { flag, type Setting, text } from "@equipoise/shared";
import * as z from "zod";

export const once = flag(
  false,
  "replay the recording once, print a summary and end; exit code 0 only if nothing was lost",
);

/** @param byDefault a form that the agent's `speed` has */
export const speed = (byDefault: string): Setting<string> =>
  text(byDefault, "pace of the replay: realtime, max, or N times real time", {
    placeholder: "realtime|max|N",
    schema: z
      .string()
      .refine(
        (value) => /^(realtime|max|\d+(\.\d+)?)$/.test(value) && Number(value) !== 0,
        "must be realtime, max or a positive number",
      ),
  });

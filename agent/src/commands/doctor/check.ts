/** Contract: one thing that a doctor looks at. */
export interface Finding {
  name: string;
  /** `warn` works and is worth a look; `fail` does not work. */
  verdict: "ok" | "warn" | "fail";
  /** What was found and, when it is not ok, what to do. */
  detail: string;
}

export const ok = (name: string, detail: string): Finding => ({ name, verdict: "ok", detail });
export const warn = (name: string, detail: string): Finding => ({ name, verdict: "warn", detail });
export const fail = (name: string, detail: string): Finding => ({ name, verdict: "fail", detail });

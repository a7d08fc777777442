import type { Clock } from "./clock.ts";

/** Waits for the work, but no longer than `timeoutMs`. @returns whether it was done in time */
export async function withinMs(clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  let cancel = (): void => {};
  const late = new Promise<boolean>((resolve) => {
    cancel = clock.after(timeoutMs, () => resolve(false));
  });
  const done = await Promise.race([work.then(() => true), late]);
  cancel();
  return done;
}

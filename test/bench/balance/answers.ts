/** In a process that the benchmark has started: answers its questions, one at a time, and ends with it. */
export function answer<Question>(reply: (question: Question) => Promise<unknown>): void {
  process.on("disconnect", () => process.exit(1));
  process.on("message", (question: Question) => {
    // A failure ends the process with its reason on standard error, and the benchmark with it.
    void reply(question).then((result) => process.send?.(result ?? null));
  });
}

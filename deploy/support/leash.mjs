/** Preloaded into a demo's programs: when the demo is gone, however it went, they stop as if told to. */
process.channel?.unref();
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));

/** The public names of @equipoise/agent. */
export { Agent, type AgentOptions } from "./agent.ts";
export { type AgentConfig, settings } from "./config.ts";
export { main } from "./main.ts";

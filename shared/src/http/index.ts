export { httpAddress, isLocalHttpAddress, isLoopback } from "./address.ts";
export { Endpoints } from "./endpoints.ts";
export type { Family, Sample } from "./exposition.ts";

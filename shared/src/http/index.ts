export { httpAddress, isLocalHttpAddress, isLoopback } from "./address.ts";
export { encodeFamilies, type Family, type Sample } from "./exposition.ts";
export { ProcessMetrics } from "./process-metrics.ts";
export { HttpServer } from "./server.ts";

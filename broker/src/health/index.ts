import { AdvancedHealth } from "./advanced.ts";
import { BasicHealth } from "./basic.ts";
import type { HealthChecker, HealthCheckerName } from "./health.ts";

export { isFrozen } from "./advanced.ts";
export {
  type HealthChecker,
  type HealthCheckerName,
  type HealthState,
  healthCheckerNames,
  healthStates,
  type MemberSigns,
} from "./health.ts";
export { type HealthChange, MemberHealth } from "./member-health.ts";
export { type Patient, PoolHealth } from "./pool-health.ts";

export function createHealthChecker(name: HealthCheckerName): HealthChecker {
  return name === "basic" ? new BasicHealth() : new AdvancedHealth();
}

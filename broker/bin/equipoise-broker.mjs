#!/usr/bin/env node
import { requireNode } from "../../shared/bin/launcher.mjs";

requireNode("equipoise-broker");
const { main } = await import("../src/main.ts");
await main(process.argv.slice(2), process.env);

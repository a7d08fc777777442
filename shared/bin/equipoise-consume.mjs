#!/usr/bin/env node
import { launch } from "./launcher.mjs";

await launch({ command: "equipoise-consume", bin: import.meta.url, name: "shared", module: "client/main" });

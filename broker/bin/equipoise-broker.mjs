#!/usr/bin/env node
import { launch } from "../../shared/bin/launcher.mjs";

await launch({ command: "equipoise-broker", bin: import.meta.url, name: "broker" });

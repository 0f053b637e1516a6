// Node.js 18 has no global crypto; browsers all have.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= /** @type {Crypto} */ (webcrypto);

"use strict";
// The interface of a client.
Object.defineProperty(exports, "__esModule", { value: true });

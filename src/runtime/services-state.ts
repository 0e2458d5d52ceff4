import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStart } from './lock.mjs';
import { paths } from './paths.ts';

/**
 * What `npm run up` writes about itself, so that other commands find its services and a later `up` finds what a
 * killed one left. Credentials are not in it; they have a file of their own that only its owner can read.
 */
export interface ServicesState {
  readonly owner: ProcessName;
  readonly started: string;
  readonly children: Readonly<Record<string, ProcessName>>;
  readonly ports: Readonly<Record<string, number>>;
  /** Without it another Temporal is used. */
  readonly temporal?: { readonly address: string; readonly ui: string; readonly program: string };
  /** Without it another store is used. */
  readonly s3?: { readonly endpoint: string; readonly bucket: string; readonly region: string };
}

/** A process id and when that process began, which tells it from a later one with the same id. */
export interface ProcessName {
  readonly pid: number;
  readonly start: string | null;
}

export interface StoreCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export const stateFile = (folder: string) => join(folder, 'services.json');
export const credentialsFile = (folder: string) => join(folder, 's3', 'credentials.json');

/** The last state written in this folder, whether its `up` still runs or not. */
export function readState(folder: string = paths().state): ServicesState | null {
  return readJson(stateFile(folder)) as ServicesState | null;
}

/** The state of an `up` that runs now. */
export function runningState(folder: string = paths().state): ServicesState | null {
  const state = readState(folder);
  return state && isAlive(state.owner) ? state : null;
}

/** The keys of the store in this folder. */
export function readCredentials(folder: string = paths().state): StoreCredentials | null {
  return readJson(credentialsFile(folder)) as StoreCredentials | null;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/** This process, as others can name it. */
export function thisProcess(): ProcessName {
  return { pid: process.pid, start: processStart(process.pid) };
}

export function isAlive(name: ProcessName): boolean {
  return name.start !== null && processStart(name.pid) === name.start;
}

// Speaks the trainer's protocol without TensorFlow, to provoke what a real trainer does on rare days.
// Its state is a number that each step changes by a pure rule, so that equal histories have equal hashes.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const fault = process.env.FAKE_FAULT ? JSON.parse(process.env.FAKE_FAULT) : {};
/** A fault with a file happens once: the file says that it has happened. */
const due = (name, step) => {
  if (!fault[name] || (fault[name].step !== undefined && fault[name].step !== step)) return false;
  if (!fault[name].once) return true;
  if (existsSync(fault[name].once)) return false;
  writeFileSync(fault[name].once, '');
  return true;
};
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const send = (message) => process.connected && process.send(message);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

process.on('disconnect', () => process.exit(0));
let stop = null;
let paced = null;
process.on('message', (message) => {
  if (message.type === 'stop') stop = message.id;
  else if (message.type === 'committed') paced?.();
  else void run(message);
});

let state = null;
async function run({ id, job }) {
  if (job.kind === 'evaluate') return send({ type: 'finished', id, result: { folder: job.folder } });
  if (job.kind === 'prepare' && due('crashPreparing')) process.kill(process.pid, 'SIGKILL');
  if (job.kind === 'prepare') return send({ type: 'finished', id, result: null });
  if (job.kind === 'measure') return measure(id, job);
  const from = job.from ?? { step: 0 };
  if (job.from && state?.sha256 !== job.from.sha256) state = read(job.from.folder);
  // `bits`: a device that computes a little differently.
  if (!job.from) state = { value: 1 + (fault.bits ?? 0) };
  // Under auto: one snapshot at step 10, and when that is committed every 10 steps, in shards of 20.
  const every = job.checkpointEvery === 'auto' ? 10 : job.checkpointEvery;
  let end = job.toStep;
  if (job.checkpointEvery === 'auto')
    paced = () => {
      paced = null;
      end = Math.min(end, 20 * Math.ceil((state.step + 1) / 20));
      send({ type: 'pace', id, pace: { checkpointEvery: 10, shardSteps: 20 }, end });
    };
  for (let step = from.step + 1; step <= end; step++) {
    // What a library prints just before it ends the process.
    if (due('says', step)) writeSync(2, fault.says.text);
    if (due('crash', step)) process.kill(process.pid, 'SIGKILL');
    if (due('hang', step)) return;
    if (due('unknown', step))
      return send({ type: 'failed', id, code: 'TrainerCrashed', message: 'who knows', details: {} });
    if (due('nonFinite', step)) {
      return send({ type: 'failed', id, code: 'NonFinite', message: 'the loss is NaN', details: { step } });
    }
    await wait(fault.stepMs ?? 2);
    // XLA has its own last bits, and so has bf16.
    const own = (job.settings.xla === 'on' ? 7 : 0) + (job.settings.precision === 'bf16' ? 70 : 0);
    state = { value: (state.value * 48271 + step + own) % 2147483647, step };
    const stopping = stop === id;
    const position = { step, examples: step * job.settings.batches.batch };
    const metrics = { loss: 10 / step, examplesPerSecond: 100, dataWaitShare: 0 };
    const records = [{ step, time: Date.now(), values: metrics }];
    send({ type: 'progress', id, progress: { ...position, ...metrics, objectives: {}, figures: {}, records } });
    if (step % every === 0 || step === end || stopping) {
      const folder = join(job.snapshotFolder, `step-${step}`);
      const files = write(folder);
      state.sha256 = sha256(files.map((file) => `${file.sha256}  ${file.path}\n`).join(''));
      const skipped = [];
      send({
        type: 'snapshot',
        id,
        snapshot: { ...position, folder, state: files, sha256: state.sha256, metrics, skipped },
      });
    }
    if (stopping) break;
  }
  send({ type: 'finished', id, result: null });
}

/**
 * `ms`: what a step takes with XLA off and on, a sentence why it does not work, or null to wait until it is stopped. Where it
 * names precisions, those are what is asked for first.
 */
async function measure(id, { settings: { precision, xla = 'off' }, threads }) {
  const [what, hashed] = fault.ms?.f32 === undefined ? [xla, xla] : [precision, `${precision}, ${threads} threads`];
  if (fault.measured) appendFileSync(fault.measured, `${what}\n`);
  const ms = fault.ms?.[what];
  if (ms === 'crash') process.kill(process.pid, 'SIGKILL');
  while (ms === null && stop !== id) await wait(5);
  if (typeof ms === 'string') return send({ type: 'failed', id, code: 'DeviceMissing', message: ms, details: {} });
  send({ type: 'finished', id, result: ms === null ? null : { ms, hash: sha256(hashed) } });
}

function write(folder) {
  mkdirSync(folder, { recursive: true });
  return ['model.safetensors', 'training-optimizer.safetensors'].map((path) => {
    const bytes = Buffer.from(JSON.stringify({ path, value: state.value }));
    writeFileSync(join(folder, path), bytes);
    return { path, bytes: bytes.length, sha256: sha256(bytes) };
  });
}

function read(folder) {
  return { value: JSON.parse(readFileSync(join(folder, 'training-optimizer.safetensors'), 'utf8')).value };
}

if (fault.mute) await wait(60_000);
if (fault.broken) send({ type: 'failed', id: 0, code: 'SetupMissing', message: 'no TensorFlow', details: {} });
else send({ type: 'ready', device: fault.device ?? 'cpu', tensorflow: 'none' });

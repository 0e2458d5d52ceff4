import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Takes out of an image what nothing in it can use. Without an argument: binaries for other systems, and the source maps of
 * TensorFlow.js. With `headers`: those of TensorFlow that only a compiler reads, in the cache of set-up.
 */
const entries = (folder) => readdirSync(folder, { withFileTypes: true, recursive: false });
const remove = (path) => rmSync(path, { recursive: true, force: true });

function pruneBinaries(modules) {
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`;
  const bridge = join(modules, '@temporalio/core-bridge/releases');
  for (const { name } of entries(bridge)) if (name !== triple) remove(join(bridge, name));
  const onnx = join(modules, 'onnxruntime-node/bin');
  for (const { name: version } of entries(onnx))
    for (const { name: system } of entries(join(onnx, version))) {
      if (system !== process.platform) remove(join(onnx, version, system));
      else
        for (const { name } of entries(join(onnx, version, system)))
          if (name !== process.arch) remove(join(onnx, version, system, name));
    }
}

function pruneMaps(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile() && entry.name.endsWith('.map')) remove(join(entry.parentPath, entry.name));
}

/** Set-up takes a folder for TensorFlow's by `tensorflow/c/c_api.h`, so that this one stays. */
function pruneHeaders(cache) {
  for (const { name } of entries(cache).filter(({ name }) => name.startsWith('tensorflow-'))) {
    const include = join(cache, name, 'tensorflow/include');
    for (const { name: part } of entries(include)) if (part !== 'tensorflow') remove(join(include, part));
    for (const { name: part } of entries(join(include, 'tensorflow')))
      if (part !== 'c') remove(join(include, 'tensorflow', part));
  }
}

if (process.argv[2] === 'headers') pruneHeaders(process.env.SIGLIP2_CACHE);
else {
  pruneBinaries('node_modules');
  pruneMaps('node_modules/@tensorflow');
}

import type { Fingerprint } from './job.ts';

/** What no reader of a figure may miss, before everything else that is said of it. */
export function loudly(fingerprint: Fingerprint): string[] {
  const overlap = Number(fingerprint['train.overlap'] ?? 0);
  const trained = Number.parseInt(String(fingerprint['model.trained_on'] ?? 0), 10);
  const duplicates = Number(fingerprint['data.duplicates']);
  return [
    ...(trained > 0
      ? [`WARNING: the model was trained on ${trained} of the pictures that are evaluated on, byte for byte`]
      : []),
    ...(overlap > 0
      ? [`WARNING: ${overlap} of the pictures that are evaluated on are in train too, byte for byte`]
      : []),
    ...(duplicates > 0 ? [`${duplicates} of the pictures are in the data more than once, byte for byte`] : []),
  ];
}

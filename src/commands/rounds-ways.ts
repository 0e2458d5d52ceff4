import { spreadRanges } from '../checkpoint/download.ts';
import type { Transfer } from '../rounds/link.ts';
import { spreadWay, type UploadWay, usualWay } from '../storage/multipart.ts';

const asTransfer = ({ partsInFlight, partBytes, multipartAbove }: UploadWay): Transfer => ({
  connections: partsInFlight,
  part: partBytes,
  whole: multipartAbove,
});

/** How the files of a round go: what replicas and mergers hand in, what they fetch, and the checkpoint. */
export const roundWays = {
  up: asTransfer(spreadWay),
  down: { connections: spreadRanges.atOnce, part: spreadRanges.bytes },
  commits: asTransfer(usualWay),
};

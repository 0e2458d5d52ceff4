import { expect, test } from 'vitest';
import { tarShard } from '../../../infra/emoji/draw.ts';
import { tarMembers } from '../../../src/data/index/tar.ts';
import { tarOf } from '../tar-file.ts';

async function membersOf(tar: Buffer) {
  const found = [];
  const read = async (offset: number, size: number) => tar.subarray(offset, offset + size);
  for await (const member of tarMembers(read, tar.length)) {
    found.push(
      'fault' in member
        ? member
        : { name: member.name, body: tar.toString('utf8', member.offset, member.offset + member.size) },
    );
  }
  return found;
}

test('members that tar-stream wrote are found with their content, long and foreign names too', async () => {
  const names = ['a.json', `${'folder/'.repeat(20)}b.json`, `${'n'.repeat(300)}.json`, 'größe-日本.json'];
  const { body } = await tarShard(names.map((name, i) => ({ name, body: Buffer.from(`content ${i}`) })));
  expect(await membersOf(body)).toEqual(names.map((name, i) => ({ name, body: `content ${i}` })));
});

test('GNU long names and sizes in base 256 are read', async () => {
  const size = Buffer.alloc(12);
  size[0] = 0x80;
  size[11] = 3;
  const name = 'l'.repeat(180);
  const tar = tarOf([
    { name: '././@LongLink', type: 'L', body: `${name}\0` },
    { name: 'cut', body: 'abc' },
    { name: 'b', body: 'def', size },
  ]);
  expect(await membersOf(tar)).toEqual([
    { name, body: 'abc' },
    { name: 'b', body: 'def' },
  ]);
});

test('folders, links and devices are passed over', async () => {
  const tar = tarOf([
    { name: 'd/', type: '5', body: '' },
    { name: 'link.png', type: '2', body: '' },
    { name: 'a', body: 'abc' },
  ]);
  expect(await membersOf(tar)).toEqual([{ name: 'a', body: 'abc' }]);
});

test('behind a broken header reading goes on at the next header, and the loss is told once', async () => {
  const tar = tarOf([
    { name: 'a', body: 'abc' },
    { name: 'b', body: 'x'.repeat(3000), damaged: true },
    { name: 'c', body: 'ghi' },
  ]);
  expect(await membersOf(tar)).toEqual([
    { name: 'a', body: 'abc' },
    { name: 'byte 1024', fault: 'broken tar header' },
    { name: 'c', body: 'ghi' },
  ]);
});

test('a size beyond the file ends the reading with a fault', async () => {
  const whole = tarOf([
    { name: 'a', body: 'abc' },
    { name: 'b', body: 'x'.repeat(3000) },
  ]);
  const fault = { name: 'b', fault: 'ends beyond the shard: 3000 bytes from byte 1536 of 2000' };
  expect(await membersOf(whole.subarray(0, 2000))).toEqual([{ name: 'a', body: 'abc' }, fault]);
  const lie = tarOf([{ name: 'a', body: 'abc', size: 8 ** 11 - 1 }]);
  expect(await membersOf(lie)).toEqual([
    { name: 'a', fault: 'ends beyond the shard: 8589934591 bytes from byte 512 of 2048' },
  ]);
});

test('a file that is no tar, or empty, has no members, and says so', async () => {
  expect(await membersOf(Buffer.alloc(0))).toEqual([{ name: 'byte 0', fault: 'the shard is empty' }]);
  const short = { name: 'byte 0', fault: 'the shard ends within a header: 511 bytes of 512' };
  expect(await membersOf(Buffer.alloc(511, 1))).toEqual([short]);
  expect(await membersOf(Buffer.alloc(10_240, 'not a tar '))).toEqual([{ name: 'byte 0', fault: 'broken tar header' }]);
});

test('an archive that was cut within a header, or between two members, is used and the cut told', async () => {
  const whole = tarOf([
    { name: 'a', body: 'abc' },
    { name: 'b', body: 'def' },
  ]);
  const a = { name: 'a', body: 'abc' };
  const within = { name: 'byte 1024', fault: 'the shard ends within a header: 200 bytes of 512' };
  expect(await membersOf(whole.subarray(0, 1224))).toEqual([a, within]);
  const between = 'the shard has no end mark: it was cut off between two members, or written without one';
  expect(await membersOf(whole.subarray(0, 1024))).toEqual([a, { name: 'byte 1024', fault: between }]);
  // Within what fills up the last block of a member.
  expect(await membersOf(whole.subarray(0, 1000))).toEqual([a, { name: 'byte 1000', fault: between }]);
  const long = tarOf([{ name: '././@LongLink', type: 'L', body: 'long.json\0' }], { end: false });
  expect(await membersOf(long)).toEqual([{ name: 'long.json', fault: between }]);
  // One block of zeros is an end mark of some programs.
  expect(await membersOf(whole.subarray(0, 2560))).toEqual([a, { name: 'b', body: 'def' }]);
});

/** Tar files for tests, also ones that no tar program would write. */
export interface RawMember {
  readonly name: string | Buffer;
  readonly body: Buffer | string;
  readonly type?: string;
  /** What the header says, when it is not the truth. */
  readonly size?: number | Buffer;
  readonly damaged?: boolean;
}

export function tarOf(members: readonly RawMember[], { end = true } = {}): Buffer {
  const blocks = members.flatMap(({ name, body, type = '0', size, damaged }) => {
    const bytes = Buffer.from(body as string);
    const header = Buffer.alloc(512);
    Buffer.from(name as string).copy(header, 0, 0, 100);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    if (Buffer.isBuffer(size)) size.copy(header, 124);
    else header.write(`${(size ?? bytes.length).toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write(type, 156);
    header.write('ustar\x0000', 257, 'latin1');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    if (damaged) header[5]! ^= 0x41;
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(end ? 1024 : 0)]);
}

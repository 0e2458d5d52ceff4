import { expect, it } from 'vitest';
import { redactor, secretValues } from '../../src/runtime/secrets.ts';

const key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

it('values of an environment are taken out, also as they stand in URLs and JSON', () => {
  const env = {
    AWS_SECRET_ACCESS_KEY: key,
    SIGLIP2_PAYLOAD_KEY: 'qFv+7/payload==',
    HF_TOKEN: 'short"quoted\\token',
    TEMPORAL_TLS_CLIENT_KEY_DATA: 'first line of a key\nsecond line of a key',
    AWS_ENDPOINT_URL: 'http://user:pass%2Fword@store:9000',
    TOKENIZERS_PARALLELISM: 'falsely',
    MY_PASSWORD: 'abc',
    SIGLIP2_BUCKET: 'the-bucket',
  };
  const values = secretValues(env);
  expect(values).not.toContain('falsely');
  expect(values).not.toContain('the-bucket');
  const redact = redactor(values);
  for (const text of [key, 'qFv+7/payload==', 'second line of a key', 'pass/word', 'pass%2Fword'])
    for (const as of [text, encodeURIComponent(text), JSON.stringify({ as: text })])
      expect(redact(`before ${as} after`)).toMatch(/^before .*\[secret\].* after$/);
  expect(redact(JSON.stringify({ text: env.HF_TOKEN }))).toBe('{"text":"[secret]"}');
  // Of three letters are words that stand anywhere.
  expect(redact('abc the-bucket')).toBe('abc the-bucket');
});

it.each([
  ['id AKIAIOSFODNN7EXAMPLE of a key', 'id [secret] of a key'],
  [`the key ${key} alone`, 'the key [secret] alone'],
  ['GET http://user:pa:ss@store/x', 'GET http://[secret]@store/x'],
  [
    'https://b/k?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=0a1b&x=1',
    'https://b/k?X-Amz-Credential=[secret]&X-Amz-Signature=[secret]&x=1',
  ],
  ['Authorization: AWS4-HMAC-SHA256 Credential=x, Signature=y', 'Authorization: [secret]'],
  ['{"authorization":"Bearer abc.def-123","a":1}', '{"authorization":"[secret]","a":1}'],
  ['curl -H "x: Bearer abcdefgh1234"', 'curl -H "x: Bearer [secret]"'],
  ['header Basic dXNlcjpwYXNzd29yZA==', 'header Basic [secret]'],
  ['{"secretAccessKey":"abc def","b":2}', '{"secretAccessKey":[secret],"b":2}'],
  ['aws_session_token = IQoJb3JpZ2lu, next', 'aws_session_token = [secret], next'],
  ['\\"apiKey\\":\\"tk_12\\"', '\\"apiKey\\":[secret]'],
  ['password=hunter2 user=me', 'password=[secret] user=me'],
  ['hf_abcdefghijklmnopqrstuvwx', '[secret]'],
  ['t eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4', 't [secret]'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\nafter', '[secret]\nafter'],
  [`${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw'.padEnd(64, 'Ab1/')}`, '[secret]'],
])('what looks like one is taken out: %s', (text, clean) => {
  expect(redactor([])(text)).toBe(clean);
});

it.each([
  'sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 of step 400',
  'commit 40b9b7f1c2d3e4f5061728394a5b6c7d8e9f0a1b',
  'vocabulary of 256000 tokens: 12 tokens a text',
  'access key id ending in WXYZ; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair that may read',
  'Basic training of the student',
  's3://bucket/runs/first/pretrain/r0/step-00000400-3-1-ab12cd34/training-optimizer-00001.safetensors',
  'tensorflow::_ZN10tensorflow14DirectSession3RunERKSt6vectorISt4pairINSt7__cxx1112basic_stringIcSt11char_traits',
  'http://127.0.0.1:7480/siglip2 at 07:30:12',
])('what only resembles one stays: %s', (text) => {
  expect(redactor(['another-secret'])(text)).toBe(text);
});

it('a line that was made to be slow is not', () => {
  const redact = redactor(['some-secret-value']);
  for (const part of [
    'secret',
    '://a:',
    'authorization ',
    'Basic a',
    'eyJaaaaaaaa.',
    'aA1/',
    'X-Amz-Signature',
    '-----BEGIN ',
  ]) {
    const began = performance.now();
    redact(part.repeat(8000 / part.length));
    expect(performance.now() - began, part).toBeLessThan(250);
  }
});

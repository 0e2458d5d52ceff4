import { describe, expect, it } from 'vitest';
import { openDollarStreet, openGeoDe } from '../../src/benchmarks/places.ts';
import { pythonList } from '../../src/benchmarks/python-list.ts';
import { allOf, folders } from './data-set.ts';

const made = folders();

describe('Dollar Street', () => {
  const header =
    'id,country.name,country.id,region.id,type,imageRelPath,topics,place,income,imagenet_synonyms,imagenet_sysnet_id\n';
  const row = (id: string, income: string, labels: string, path = `assets/${id}.jpg`) =>
    `${id},Burundi,bi,af,image,${path},"['roofs', 'it''s']",af-bi,${income},"['tile roof', ""thatch""]","${labels}"\n`;

  it("gives ImageNet's numbers, several of them right, and groups by income, region and country", async () => {
    const files = made({
      'images_v2_imagenet_test.csv':
        header +
        row('a', '26.9', '[853]') +
        row('b', '684', '[728, 727]') +
        row('c', '1997.5', '[1]') +
        row('d', '', '[1]') +
        row('e', '30', '[1000]') +
        row('f', '30', 'nan') +
        row('g', '30', '[1]', '../x.jpg') +
        'h,too,few\n',
    });
    const { examples, faults } = await allOf(openDollarStreet(files));
    expect(examples).toEqual([
      {
        name: 'a',
        picture: { file: 'assets/a.jpg' },
        labels: [853],
        groups: { income: 'Q4', region: 'af', country: 'Burundi' },
      },
      expect.objectContaining({
        name: 'b',
        labels: [728, 727],
        groups: { income: 'Q3', region: 'af', country: 'Burundi' },
      }),
      expect.objectContaining({ name: 'c', groups: { income: 'Q1', region: 'af', country: 'Burundi' } }),
    ]);
    expect(faults.map(({ fault }) => fault)).toEqual([
      'income is "", and has to be a number',
      'imagenet_sysnet_id is "[1000]", and has to be a list of ImageNet\'s numbers',
      'imagenet_sysnet_id is "nan", and has to be a list of ImageNet\'s numbers',
      'imageRelPath names no picture within the data set',
      'the row has another number of fields than the header: 3, not 11',
    ]);
  });

  it('without a column that is needed says which, and which there are', async () => {
    const files = made({ 'images_v2_imagenet_test.csv': 'id,income\n1,2\n' });
    await expect(allOf(openDollarStreet(files))).rejects.toThrow(
      'has no column country.name, region.id, imageRelPath, imagenet_sysnet_id; it has: id, income',
    );
  });
});

describe('GeoDE', () => {
  it('numbers its objects in the order of their names, and groups by region and country', async () => {
    const files = made({
      'index.csv':
        'object,region,ip_country,file_path\n' +
        'hand_soap,Africa,Nigeria,Africa/Nigeria_1.jpg\nbag,Europe,France,Europe/France_1.jpg\n' +
        ',Europe,France,x.jpg\nbag,,France,y.jpg\nbag,Asia,Japan,/etc/passwd\n',
    });
    const benchmark = await openGeoDe(files);
    expect(benchmark.classes).toEqual(['bag', 'hand soap']);
    const { examples, faults } = await allOf(benchmark);
    expect(examples).toEqual([
      {
        name: 'Africa/Nigeria_1.jpg',
        picture: { file: 'images/Africa/Nigeria_1.jpg' },
        labels: [1],
        groups: { region: 'Africa', country: 'Nigeria' },
      },
      expect.objectContaining({ labels: [0], groups: { region: 'Europe', country: 'France' } }),
    ]);
    expect(faults.map(({ name, fault }) => `${name}: ${fault}`)).toEqual([
      'index.csv row 3: it names no object',
      'index.csv row 4: it names no region',
      'index.csv row 5: file_path names no picture within the data set',
    ]);
    const ofHalves = await Promise.all(
      ['train', 'test'].map(
        async (split) => (await allOf(await openGeoDe(files, undefined, undefined, split))).examples,
      ),
    );
    expect(ofHalves.flat()).toHaveLength(2);
    expect(ofHalves.flat()).toEqual(expect.arrayContaining(examples));
    await expect(openGeoDe(files, undefined, undefined, 'val')).rejects.toThrow(
      '--split is "val"; allowed of geode: train, test',
    );
    await expect(openGeoDe(made({ 'index.csv': 'a,b\n1,2\n' }))).rejects.toThrow(
      'has no column object, region, ip_country, file_path',
    );
  });
});

describe("Python's lists", () => {
  it('are texts and numbers, with quotes of both kinds; what is none is null', () => {
    expect(pythonList(`['a', "it's", 'it\\'s', 3, -1.5]`)).toEqual(['a', "it's", "it's", 3, -1.5]);
    expect(pythonList('[]')).toEqual([]);
    for (const text of ['', '[', "['a' 'b']", '[__import__("os")]', '[[1]]', '{}'])
      expect(pythonList(text), text).toBe(null);
  });
});

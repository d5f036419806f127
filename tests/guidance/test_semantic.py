from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiTTransformer2DModel

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator, Condition, Img2ImgGenerator, LayoutUNetGenerator
from mmdistill.generation.unets import ClassUNet
from mmdistill.guidance import Guidance, SemanticMatching
from mmdistill.plan import Request

K, D = 5, 4000


class Embeddings:
    """The part of a generator that semantic matching reads: K classes, and a null class behind them."""
    embedded = 'label'

    def __init__(self, classes=K, trained=1000):
        scale, shift = torch.arange(1, K + 2)[:, None] / 4, torch.arange(K + 1)[:, None] / 3
        self.table = scale * torch.randn(K + 1, D, generator=torch.Generator().manual_seed(0)) + shift
        self.classes = classes
        self.scheduler = SimpleNamespace(config=SimpleNamespace(num_train_timesteps=trained))

    def class_embeddings(self, requests):
        return {n: self.table[n] for n in range(self.classes)}

    def embed(self, condition):
        return condition.replace(dict(label=self.table[condition['label']]),
                                 dict(label=self.table[condition.nulls['label']]))


def rows(labels, seeds):
    label = torch.tensor(labels)
    return Condition(dict(label=label), dict(label=torch.full_like(label, K)), tuple(
        Request(f'{n}', n, classes=(c, )) for c, n in zip(labels, seeds)))


def bound(generator=None, **settings):
    return SemanticMatching(generator or Embeddings(), [], **settings)


def standard(x):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)


@pytest.mark.parametrize('t,level', [(999, 0), (900, 0), (899, 0.0025), (700, 0.5), (501, 0.9975), (500, 1), (3, 1)])
def test_the_formula_in_double_precision(monkeypatch, t, level):
    generator, semantic = Embeddings(), bound(beta_noise=0.3, beta_label=0.2)
    n = torch.randn(2, D, generator=torch.Generator().manual_seed(5))
    monkeypatch.setattr(semantic, '_draw', lambda shape, request, t: (
        n[request.seed, None], generator.table[request.classes[0] + 1]))
    condition = semantic(rows([3, 0], [0, 1]), t)
    assert semantic.level(t) == pytest.approx(level)
    if level == 1:
        assert condition['label'].tolist() == [3, 0]
        return
    table, n = generator.table.double().numpy(), n.double().numpy()
    for row, own in enumerate((3, 0)):
        other = 0.2 * np.sqrt(1 - level) * table[own + 1] * (t <= 900)
        mixed = np.sqrt(level) * table[own] + 0.3 * np.sqrt(1 - level) * n[row] + other
        expected = (mixed - mixed.mean()) / mixed.std() * table[own].std() + table[own].mean()
        np.testing.assert_allclose(condition['label'][row], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(condition.nulls['label'], generator.table[[K, K]])


@pytest.mark.parametrize('t, level', [(999, 0), (901, 0), (900, 0), (700, 0.5), (501, 0.9975), (400, 1)])
def test_the_released_form_in_double_precision(monkeypatch, t, level):
    """The null row is mixed like that of the class; both share one mean and standard deviation."""
    generator, semantic = Embeddings(), bound(beta_noise=0.3, beta_label=0.2, compat='released')
    n = torch.rand(2, 2, D, generator=torch.Generator().manual_seed(5))  # of two samples, each with two rows
    monkeypatch.setattr(semantic, '_draw', lambda shape, request, t: (
        n[request.seed], generator.table[request.classes[0] + 1]))
    condition = semantic(rows([3, 0], [0, 1]), t)
    if level == 1:
        assert condition['label'].tolist() == [3, 0] and condition.nulls['label'].tolist() == [K, K]
        return
    table, n = generator.table.double().numpy(), n.double().numpy()
    for sample, own in enumerate((3, 0)):
        pair, mixed = table[[own, K]], np.zeros((2, D))
        for row in range(2):
            mixed[row] = np.sqrt(level) * pair[row] + 0.3 * np.sqrt(1 - level) * n[sample, row]
            if t <= 900:
                mixed[row] += 0.2 * np.sqrt(1 - level) * table[own + 1]
        expected = (mixed - mixed.mean()) / mixed.std() * pair.std() + pair.mean()
        np.testing.assert_allclose(condition['label'][sample], expected[0], rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(condition.nulls['label'][sample], expected[1], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize('t', [950, 900, 700, 502])
def test_mean_and_deviation_are_the_classes_own(t):
    generator = Embeddings()
    soft = bound(generator)(rows([1, 4], [7, 8]), t)
    own = generator.table[[1, 4]]
    torch.testing.assert_close(soft['label'].mean(1), own.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(soft['label'].std(1), own.std(1), rtol=1e-4, atol=1e-5)
    assert soft['label'].dtype == torch.float32 and torch.equal(soft.nulls['label'], generator.table[[K, K]])
    assert len(soft.null().cat(soft)['label']) == 4


@pytest.mark.parametrize('t', [950, 900, 700, 502])
def test_released_mean_and_deviation_are_those_of_both_rows_of_a_sample(t):
    """And of no other sample in the batch."""
    generator = Embeddings()
    soft = bound(generator, compat='released')(rows([1, 4], [7, 8]), t)
    mixed = torch.cat([soft['label'], soft.nulls['label']], 1)
    own = torch.cat([generator.table[[1, 4]], generator.table[[K, K]]], 1)
    torch.testing.assert_close(mixed.mean(1), own.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed.std(1), own.std(1), rtol=1e-4, atol=1e-5)
    assert soft['label'].dtype == soft.nulls['label'].dtype == torch.float32
    assert len(soft.null().cat(soft)['label']) == 4


def test_three_stages():
    """First noise without any class, then a mix that approaches the class, then the class."""
    semantic, generator = bound(beta_noise=0.5, beta_label=9.0), Embeddings()
    early = [standard(semantic(rows([n], [1]), 901)['label']) for n in (0, 3)]
    torch.testing.assert_close(*early, rtol=1e-4, atol=1e-4)
    assert (standard(semantic(rows([0], [1]), 900)['label']) * early[0]).mean() < 0.5  # the other class joins in
    semantic = bound(beta_noise=0.5)
    near = [(standard(semantic(rows([2], [1]), t)['label']) * standard(generator.table[2])).mean().item()
            for t in (950, 880, 750, 600, 501)]
    assert near == sorted(near) and abs(near[0]) < 0.1 and near[-1] > 0.99
    assert torch.equal(semantic(rows([2], [1]), 499)['label'], torch.tensor([2]))


def test_each_row_follows_from_its_seed_and_timestep_alone():
    semantic, state = bound(), torch.get_rng_state()
    labels, seeds = [0, 1, 2, 2], [11, 12, 13, 2**63 - 1]
    whole = semantic(rows(labels, seeds), 700)['label']
    semantic(rows(labels, seeds), 720)
    for n in (3, 0, 2):
        assert torch.equal(bound()(rows(labels[n:n + 1], seeds[n:n + 1]), 700.0)['label'][0], whole[n])
    assert torch.equal(semantic(rows([labels[3], labels[1]], [seeds[3], seeds[1]]), 700)['label'], whole[[3, 1]])
    for other in (semantic(rows([2], [14]), 700), semantic(rows([2], [13]), 701)):
        assert (other['label'][0] != whole[2]).any()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('compat,kurtosis', [(None, 3.0), ('released', 1.8)])
def test_noise_is_gaussian_or_uniform(compat, kurtosis):
    soft = bound(compat=compat)(rows(list(range(K)) * 4, list(range(4 * K))), 999)
    noise = standard(soft['label']).flatten()
    assert noise.pow(4).mean().item() == pytest.approx(kurtosis, rel=0.02)
    apart = standard(soft['label'])
    assert ((apart @ apart.T / D).fill_diagonal_(0).abs() < 0.1).all()


def test_released_noise_of_both_passes_differs():
    generator, labels = Embeddings(), rows([0], [3])
    released = bound(generator, compat='released')
    early = released(labels, 950)
    assert abs((standard(early['label']) * standard(early.nulls['label'])).mean()) < 0.1
    near = [(standard(released(labels, t).nulls['label']) * standard(generator.table[K])).mean().item()
            for t in (950, 800, 501)]
    assert near == sorted(near) and near[-1] > 0.99
    assert torch.equal(released(labels, 400).nulls['label'], torch.tensor([K]))


def test_the_other_class_differs():
    generator, own = Embeddings(), 3
    soft = bound(generator, beta_label=1e4)(rows([own] * 200, list(range(200))), 900)
    likeness = standard(soft['label']) @ standard(generator.table[:K]).T / D
    counts = torch.bincount(likeness.argmax(1), minlength=K).tolist()
    assert likeness.amax(1).min() > 0.99 and counts[own] == 0
    assert min(counts[:own] + counts[own + 1:]) > 25  # 50 expected


def test_a_set_of_one_class_has_no_other():
    one = Embeddings(classes=1)
    torch.testing.assert_close(bound(one, beta_label=1e4)(rows([0], [1]), 700)['label'],
                               bound(one, beta_label=0)(rows([0], [1]), 700)['label'])


def test_timesteps_are_counted_in_a_process_of_1000():
    near = lambda trained, t: (  # noqa: E731
        standard(bound(Embeddings(trained=trained), beta_label=0)(rows([2], [1]), t)['label'])
        * standard(Embeddings().table[2])).mean().item()
    assert near(200, 140) == pytest.approx(near(1000, 700), abs=0.02)
    assert torch.equal(bound(Embeddings(trained=200))(rows([2], [1]), 99)['label'], torch.tensor([2]))


@pytest.fixture(scope='module')
def generators(sd_folder):
    """A generator of each kind, 4 ancestral steps, 3 classes."""
    torch.manual_seed(0)
    dit = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
                                num_layers=2, sample_size=8, patch_size=2, num_embeds_ada_norm=3)
    for parameter in dit.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    blocks = dit.transformer_blocks
    blocks[1].norm1.emb.load_state_dict(blocks[0].norm1.emb.state_dict())
    unet = ClassUNet(3, 4, 8, block_out_channels=(16, 32))
    vae = AutoencoderKL.from_pretrained(sd_folder / 'vae')
    settings = dict(num_steps=4, micro_batch=2, cfg_scale=2.0)
    fixed, learned = (DDPMScheduler(variance_type=kind, timestep_spacing='linspace', clip_sample=False)
                      for kind in ('fixed_small', 'learned_range'))
    return dict(
        ClassUNet=ClassConditionalGenerator(vae, unet.eval(), fixed, **settings),
        DiT=ClassConditionalGenerator(vae, dit.eval(), learned, **settings),
        Img2Img=Img2ImgGenerator.from_pretrained(str(sd_folder), **settings,
                                 scheduler=dict(type='DDPMScheduler', timestep_spacing='linspace')))


REQUESTS = [Request(f'c/{n}', 10 + n, classes=(n, ), prompt=text) for n, text in enumerate(('a cat', 'an owl', 'x'))]


@pytest.mark.parametrize('name', ['ClassUNet', 'DiT', 'Img2Img'])
@pytest.mark.parametrize('compat', [None, 'released'])
def test_images_do_not_depend_on_their_batch(generators, name, compat):
    generator = generators[name]
    guidance = Guidance([], semantic=SemanticMatching(generator, REQUESTS, compat=compat))
    plain, guided = generator.generate(REQUESTS), generator.generate(REQUESTS, guidance=guidance)
    for n in (2, 0, 1):
        assert (guided[n] != plain[n]).any()
        assert np.array_equal(generator.generate([REQUESTS[n]], guidance=guidance)[0], guided[n])


@pytest.mark.parametrize('name', ['ClassUNet', 'DiT', 'Img2Img'])
def test_the_samplers_noise_stays_as_it_is(generators, name):
    """A soft label that ends before the first step does not change the images."""
    generator = generators[name]
    ended = SemanticMatching(generator, REQUESTS, window=(1000, 999.5))
    guided = generator.generate(REQUESTS, guidance=Guidance([], semantic=ended))
    assert all(map(np.array_equal, guided, generator.generate(REQUESTS)))


def test_bad_input(generators):
    with pytest.raises(DistillError, match='LayoutUNetGenerator has no class condition'):
        SemanticMatching(LayoutUNetGenerator.__new__(LayoutUNetGenerator), [])
    semantic = SemanticMatching(generators['Img2Img'], REQUESTS)
    with pytest.raises(DistillError, match=r'request y is for classes \[\]: plan it for one class of the 3'):
        generators['Img2Img'].generate([Request('y', 1, prompt='a dog')], guidance=Guidance([], semantic=semantic))


def test_a_generator_is_checked_before_real_images_are_read(generators):
    class Different(Embeddings):
        def class_embeddings(self, requests):
            raise DistillError('block 1 of the DiT has another label table')

    with pytest.raises(DistillError, match='hook.semantic: block 1 of the DiT'):
        SemanticMatching.check_generator({}, Different(), 'hook.semantic')
    for generator in generators.values():
        SemanticMatching.check_generator({}, generator, 'hook.semantic')


@pytest.mark.parametrize('settings,message', [
    (dict(beta_noise=0), 'beta_noise=0 is out of range'), (dict(beta_label=-1), 'beta_label=-1'),
    (dict(window=(500, 900)), 'window'), (dict(window=(1001, 5)), 'window'), (dict(compat='paper'), 'compat')])
def test_wrong_settings(settings, message):
    with pytest.raises(DistillError, match=message):
        bound(**settings)


def test_requests_with_one_seed_are_not_confused():
    semantic = bound(beta_label=0.0)
    soft = semantic(rows([1, 4], [7, 7]), 700)['label']
    for row, label in enumerate((1, 4)):
        assert torch.equal(semantic(rows([label], [7]), 700)['label'][0], soft[row])

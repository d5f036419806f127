from copy import deepcopy

import pytest
import torch
from diffusers import DiTTransformer2DModel

from mmdistill.errors import DistillError
from mmdistill.generation.soft_labels import install_soft_labels


def stock(equal=True):
    """A DiT of 5 classes with 3 blocks, which share their embedding's values."""
    torch.manual_seed(0)
    dit = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
                                num_layers=3, sample_size=8, patch_size=2, num_embeds_ada_norm=5).eval()
    for parameter in dit.parameters():  # the adaptive norms start at 0: nothing would matter
        torch.nn.init.normal_(parameter, std=0.2)
    for block in dit.transformer_blocks[1:] if equal else ():
        block.norm1.emb.load_state_dict(dit.transformer_blocks[0].norm1.emb.state_dict())
    return dit


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 4, 8, 8, generator=generator), torch.tensor([999, 500, 20, 0]), torch.tensor([0, 4, 5, 2])


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_hard_labels_are_bit_equal_to_stock(inputs, dtype):
    """As ids and as their embeddings; the null class, 5, is the last row."""
    x, t, labels = inputs
    dit = stock().to(dtype)
    soft = deepcopy(dit)
    table = install_soft_labels(soft).table
    with torch.no_grad():
        expected = dit(x.to(dtype), t, labels).sample
        assert torch.equal(soft(x.to(dtype), t, labels).sample, expected)
        assert torch.equal(soft(x.to(dtype), t, table(labels).float()).sample, expected)
        null = dit.transformer_blocks[2].norm1.emb.class_embedder.embedding_table.weight[5]
        assert torch.equal(table.weight[-1], null)
        assert (soft(x.to(dtype), t, table(labels.flip(0))).sample != expected).any()


def test_a_soft_label_equals_a_table_with_that_row(inputs):
    """In every block and the last layer: stock with the mixed embedding written into each of its tables."""
    x, t, _ = inputs
    dit = stock()
    soft = deepcopy(dit)
    mixed = torch.randn(16, generator=torch.Generator().manual_seed(3))
    for block in dit.transformer_blocks:
        block.norm1.emb.class_embedder.embedding_table.weight.data[1] = mixed
    install_soft_labels(soft)
    with torch.no_grad():
        assert torch.equal(soft(x, t, mixed.expand(4, -1)).sample, dit(x, t, torch.ones(4, dtype=torch.long)).sample)


def test_one_module_for_all_blocks():
    dit = stock()
    before = sum(p.numel() for p in dit.parameters())
    copy = sum(p.numel() for p in dit.transformer_blocks[0].norm1.emb.parameters())
    shared = install_soft_labels(dit)
    assert all(block.norm1.emb is shared for block in dit.transformer_blocks)
    assert sum(p.numel() for p in dit.parameters()) == before - 2 * copy
    assert install_soft_labels(dit) is shared


def test_no_label_is_dropped_in_train_mode(inputs):
    x, t, labels = (row.repeat(16, *(1, ) * (row.dim() - 1)) for row in inputs)
    dit = stock()
    soft = deepcopy(dit)
    install_soft_labels(soft)
    with torch.no_grad():
        expected = dit(x, t, labels).sample
        assert torch.equal(soft.train()(x, t, labels).sample, expected)
        assert not torch.equal(dit.train()(x, t, labels).sample, expected)


def test_gradient_checkpointing_changes_nothing(inputs):
    x, t, labels = inputs
    dit = stock()
    rows = install_soft_labels(dit).table(labels).detach()
    gradients = []
    for checkpoint in (False, True):
        if checkpoint:
            dit.enable_gradient_checkpointing()
        leaves = x.clone().requires_grad_(), rows.clone().requires_grad_()
        gradients.append(torch.autograd.grad(dit(leaves[0], t, leaves[1]).sample.square().sum(), leaves))
    for plain, checkpointed in zip(*gradients):
        assert plain.abs().max() > 0
        torch.testing.assert_close(checkpointed, plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('key,part', [('class_embedder.embedding_table.weight', 'label table'),
                                      ('timestep_embedder.linear_2.bias', 'timestep embedding')])
def test_blocks_that_differ_are_refused_with_the_reason(key, part):
    dit = stock()
    dit.transformer_blocks[2].norm1.emb.get_parameter(key).data.view(-1)[3] += 1e-3
    with pytest.raises(DistillError, match=f'block 2 of the DiT has another {part} than block 0.*leave semantic'):
        install_soft_labels(dit)
    with pytest.raises(DistillError, match='block 1 of the DiT has another'):
        install_soft_labels(stock(equal=False))

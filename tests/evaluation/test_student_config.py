"""Protocol, student and test set are merged into one ordinary config of OpenMMLab."""
import pytest

from mmdistill.errors import DistillError
from mmdistill.evaluation.protocols import load_protocol, protocol_names, student_config, student_models

TEST = dict(type='ImageNet', data_root='mine', split='val', pipeline=[dict(type='Other')])


def test_every_protocol_is_found_by_its_id():
    assert {'idc_hard', 'fkd_sre2l', 'rded', 'rded_nopatch', 'mmseg_m2f'} <= set(protocol_names())
    for name in protocol_names():
        assert load_protocol(name).protocol.id == name
    with pytest.raises(DistillError, match="no protocol 'idc': choose among fkd_sre2l, .* or give the path"):
        load_protocol('idc')


def test_a_student_takes_the_protocols_loss_and_the_test_sets_classes():
    protocol = load_protocol('rded-tiny')
    model = student_models(dict(a='mmdistill::students/convnet6_64px.py', b=None))
    cfg = student_config(protocol, model['a'], TEST, 7)
    assert cfg.model.backbone.type == 'mmdistill.ConvNet' or cfg.model.backbone.type == 'ConvNet'
    assert cfg.model.head.loss == protocol.model.head.loss
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 7
    assert cfg.test_dataloader.dataset.data_root == 'mine'
    assert cfg.test_dataloader.dataset.pipeline == protocol.test_dataloader.dataset.pipeline
    assert student_config(protocol, model['b'], TEST, 10).model == protocol.model
    assert protocol.model.head.num_classes == 10


def test_overrides_come_last():
    cfg = student_config(load_protocol('idc_hard'), None, TEST, 10, dict(train_dataloader=dict(batch_size=8)))
    assert cfg.train_dataloader.batch_size == 8 and cfg.train_dataloader.num_workers == 4


@pytest.mark.parametrize('change', [{'model.head.num_classes': 9}, {'model.head': dict(num_classes=9)},
                                    {'data_preprocessor.num_classes': 9}])
def test_overrides_do_not_change_the_number_of_classes(change):
    protocol = load_protocol('rded-tiny')
    assert student_config(protocol, None, TEST, 9, change).model.head.num_classes == 9
    with pytest.raises(DistillError, match='overrides: num_classes=9 in the model, but the test set has 10 classes'):
        student_config(protocol, None, TEST, 10, change)


def test_weights_of_other_classes_are_refused():
    protocol = load_protocol('mmseg_m2f-tiny')
    head = dict(num_classes=11, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0] * 11))
    assert student_config(protocol, dict(decode_head=head), TEST, 11).model.decode_head.num_classes == 11
    with pytest.raises(DistillError, match='class_weight of the student has 11 classes, the test set has 19'):
        student_config(protocol, dict(decode_head=head), TEST, 19)


def test_students_under_the_weights_of_the_training_set_have_none_of_their_own():
    model = student_models(dict(a='mmdistill::students/fast-scnn_camvid-256x192.py'))['a']
    head = student_config(load_protocol('mmseg_pretrained-tiny'), model, TEST, 8).model.decode_head
    assert head.num_classes == 8 and head.loss_decode == dict(type='CrossEntropyLoss')
    assert len(model['decode_head']['loss_decode']['class_weight']) == 11
    assert student_config(load_protocol('mmseg_pretrained-tiny'), None, TEST, 8).model.decode_head.num_classes == 8

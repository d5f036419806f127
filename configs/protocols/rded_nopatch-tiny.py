# Protocol rded_nopatch-tiny: rded-tiny (see there) without ShufflePatches. Results of different protocols are not
# comparable, including those of rded-tiny and rded_nopatch: report the protocol with them.
# mmdistill train configs/protocols/rded_nopatch-tiny.py
_base_ = './rded-tiny.py'

protocol = dict(id='rded_nopatch-tiny')
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'mmdistill.ShufflePatches']
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

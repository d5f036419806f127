# Protocol rded_nopatch: rded (see there) without ShufflePatches, for images that are not collages. Results of
# different protocols are not comparable, including those of rded: report the protocol with them.
# mmdistill train configs/protocols/rded_nopatch.py
_base_ = './rded.py'

protocol = dict(id='rded_nopatch')
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'mmdistill.ShufflePatches']
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

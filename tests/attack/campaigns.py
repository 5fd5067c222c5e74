"""All campaigns."""

from attack.campaign import Campaign

ALL: tuple[Campaign, ...] = ()
CAMPAIGNS = {campaign.name: campaign for campaign in ALL}

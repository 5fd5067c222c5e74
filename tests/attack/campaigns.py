"""All campaigns."""

from attack.campaign import Campaign

CAMPAIGNS: dict[str, Campaign] = {campaign.name: campaign for campaign in ()}
